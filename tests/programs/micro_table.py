"""A table of three rows that are trained in seconds; the first diverges at its second update."""

from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}
ONE = {"batch_size": 1}
BROKEN = {"learning_rate": 1e30, "image_encoder_scale": 1.0, "clip_norm": None}
ROWS = {
    "broken": Variation(training_set="pc-59", model=SMALL, schedule={**ONE, **BROKEN}),
    "full": Variation(training_set="pc-59", model=SMALL, schedule=ONE),
    "zero": Variation(training_set="pc-59", model={**SMALL, "prior_weight": 0.0}, schedule=ONE),
}

TABLE = Table(
    name="micro",
    title="Micro",
    columns=(Column(title="PAS-20", benchmark="pas-20"), Column(title="PAS-20b", benchmark="pas-20b")),
    rows=tuple(Row(key=key, label="", run=run) for key, run in ROWS.items()),
)
