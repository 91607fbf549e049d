"""The table of which the recorded store holds the runs: quoted and measured rows, three seeds, two scores, a claim."""

from ovlab.specs.table import Claim, Column, Note, Published, Row, Table, Variation

PRINTED = Published(source="a paper", values={"PAS-20": 95.4, "PC-59": None})

TABLE = Table(
    name="study",
    title="A study, %",
    columns=(
        Column(title="PAS-20", benchmark="pas-20"),
        Column(title="PC-59", benchmark="pc-59"),
        Column(title="PC-59 invented", benchmark="pc-59", score="hallucination_rate"),
    ),
    rows=(
        Row(key="quoted", label="Theirs", published=PRINTED),
        Row(key="prior", label="λ = 1", published=PRINTED, run=Variation()),
        Row(key="no-prior", label="λ = 0", run=Variation(model={"prior_weight": 0.0})),
        Row(key="coarse", label="4 × 4 regions", run=Variation(region_grid=4)),
    ),
    seeds=(0, 1, 2),
    claims=(Claim(text="The prior helps.", where="here", better="prior", worse=("no-prior", "coarse")),),
    notes=(Note(text="Never made again.", rows=("quoted",)),),
)
