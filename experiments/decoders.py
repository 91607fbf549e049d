"""The two readings of the decoder (A16): one volume a class, or one embedding a pixel.

A volume a class costs as many decoder passes as there are classes, so both are trained and scored here on the sets with
few of them. The seconds of a run stand in its record.

    ovlab run experiments/decoders.py --suite shapes

Cost, shapes: 3 minutes a run with the pixel embedding, 5 to 6 with the class volume.
"""

from ovlab.specs.table import SIX_BENCHMARKS, Row, Table, Variation

TABLE = Table(
    name="decoders",
    title="Decoders, trained on PC-59, mIoU (%)",
    columns=tuple(column for column in SIX_BENCHMARKS if column.title in ("PC-59", "PAS-20", "PAS-20b")),
    rows=(
        Row(
            key="pixel-embedding",
            label="pixel embedding (as chosen for shapes)",
            run=Variation(training_set="pc-59", model={"decoder": "pixel_embedding"}),
        ),
        Row(
            key="class-volume",
            label="class volume",
            run=Variation(training_set="pc-59", model={"decoder": "class_volume"}),
        ),
    ),
    seeds=(0, 1, 2),
)
