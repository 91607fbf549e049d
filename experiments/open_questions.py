"""What the paper leaves open: our reading of each gap, and the reading next to it.

A number such as A21 names the gap in model/README.md. Every row differs from the first in one value. The two decoders
are in decoders.py.

    ovlab run experiments/open_questions.py --suite shapes

Cost, shapes: about three minutes a run, two runs at a time on two cores.
"""

from ovlab.specs.table import SIX_BENCHMARKS, Row, Table, Variation

TABLE = Table(
    name="open_questions",
    title="Readings of what the paper leaves open, mIoU (%)",
    columns=SIX_BENCHMARKS,
    rows=(
        Row(key="chosen", label="as chosen", run=Variation()),
        Row(
            key="prior-in-similarity",
            label="A2: the prior also in the similarity of eq. 3",
            run=Variation(model={"prior_in_similarity": True}),
        ),
        Row(
            key="mean-over-classes",
            label="A21: loss also divided by the number of classes",
            run=Variation(schedule={"loss_normalisation": "pixels_and_classes"}),
        ),
        Row(
            key="frozen-encoder",
            label="A23: image encoder frozen",
            run=Variation(model={"clip.tuning": "frozen"}),
        ),
        Row(
            key="residual-cls",
            label="dense CLIP: value path on the CLS token",
            run=Variation(model={"clip.residual": "cls"}),
        ),
        Row(
            key="residual-none",
            label="dense CLIP: value path alone",
            run=Variation(model={"clip.residual": "none"}),
        ),
    ),
    seeds=(0, 1, 2),
)
