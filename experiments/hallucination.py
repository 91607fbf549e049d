"""Hallucination with and without the object prior: the share of the predicted area that is in classes not in the image.

The paper says that the prior lowers it and never measures it. Lower is better. The runs are those of Table 4.

    ovlab run experiments/hallucination.py --suite shapes

Cost: none beside Table 4's.
"""

from ovlab.specs.table import Column, Row, Table, Variation

TABLE = Table(
    name="hallucination",
    title="Hallucination rate (%), lower is better",
    rows=(
        Row(key="no-prior", label="λ = 0", run=Variation(model={"prior_weight": 0.0})),
        Row(key="half-prior", label="λ = 0.5", run=Variation(model={"prior_weight": 0.5})),
        Row(key="prior", label="λ = 1", run=Variation()),
    ),
    columns=(
        Column(title="A-847", benchmark="a-847", score="hallucination_rate"),
        Column(title="PC-459", benchmark="pc-459", score="hallucination_rate"),
        Column(title="A-150", benchmark="a-150", score="hallucination_rate"),
        Column(title="PC-59", benchmark="pc-59", score="hallucination_rate"),
        Column(title="PAS-20", benchmark="pas-20", score="hallucination_rate"),
        Column(title="PAS-20b", benchmark="pas-20b", score="hallucination_rate"),
    ),
    seeds=(0, 1, 2),
)
