"""A table of three rows whose batches two processes can share, trained in seconds."""

from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}
TWO = {"batch_size": 2}
ROWS = {
    "full": Variation(training_set="pc-59", model=SMALL, schedule=TWO),
    "zero": Variation(training_set="pc-59", model={**SMALL, "prior_weight": 0.0}, schedule=TWO),
    "deep": Variation(training_set="pc-59", model={**SMALL, "fusion_depth": 2}, schedule=TWO),
}

TABLE = Table(
    name="groups",
    title="Groups",
    columns=(Column(title="PAS-20", benchmark="pas-20"), Column(title="PAS-20b", benchmark="pas-20b")),
    rows=tuple(Row(key=key, label="", run=run) for key, run in ROWS.items()),
)
