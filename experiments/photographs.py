"""LoGoSeg and its rivals on real photographs, on weights that packages bring: the ImageNet-MiniLM bridge.

Trained on the 15 seen classes of MSRC; tested on all its classes, seen and unseen apart, and on CamVid, of which
training has seen nothing. The bridge alone is the floor. `scratch` begins with random weights, words included.

    ovlab run photographs --suite photographs --data msrc=DIR --data camvid=DIR
    ovlab run photographs --suite photographs --data msrc=DIR --data camvid=DIR --until-decided --budget-hours 6

Cost: not measured.
"""

from ovlab.specs.table import Alone, Claim, Column, Note, Row, Table, Variation

TABLE = Table(
    name="photographs",
    title="Methods on the ImageNet-MiniLM bridge, trained on the seen classes of MSRC, mIoU (%)",
    columns=(
        Column(title="MSRC", benchmark="msrc", split="test"),
        Column(title="MSRC seen", benchmark="msrc", split="test", score="seen_miou"),
        Column(title="MSRC unseen", benchmark="msrc", split="test", score="unseen_miou"),
        Column(title="CamVid", benchmark="camvid", split="test"),
    ),
    rows=(
        Row(key="floor", label="the bridge alone", run=Alone(method="bridge", backbone="bridge")),
        Row(
            key="logoseg",
            label="LoGoSeg (ours)",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen"),
        ),
        Row(
            key="no-prior",
            label="LoGoSeg, λ = 0",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen", model={"prior_weight": 0.0}),
        ),
        Row(
            key="no-alignment",
            label="LoGoSeg without region alignment",
            run=Variation(
                backbone="bridge", training_set="msrc", split="train-seen", model={"region_alignment": False}
            ),
        ),
        Row(
            key="cat-seg",
            label="CAT-Seg",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen", method="cat-seg"),
        ),
        Row(
            key="sed",
            label="SED",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen", method="sed"),
        ),
        Row(
            key="scratch",
            label="LoGoSeg tiny, from scratch",
            run=Variation(
                backbone="scratch",
                training_set="msrc",
                split="train-seen",
                schedule={"image_encoder_scale": 1.0},
            ),
        ),
    ),
    claims=(
        Claim(
            text="LoGoSeg is above the bridge alone on unseen classes.",
            where="Section 1: 'generalization to unseen categories'",
            better="logoseg",
            worse=("floor",),
            columns=("MSRC unseen", "CamVid"),
        ),
        Claim(
            text="LoGoSeg is above CAT-Seg.",
            where="Section 3.3, Table 1",
            better="logoseg",
            worse=("cat-seg",),
            columns=("MSRC seen", "MSRC unseen", "CamVid"),
        ),
        Claim(
            text="The prior helps.",
            where="Section 3.4, Prior-Guided Alignment Hyperparameters",
            better="logoseg",
            worse=("no-prior",),
            columns=("MSRC seen", "MSRC unseen", "CamVid"),
        ),
        Claim(
            text="Region alignment helps.",
            where="Section 3.4, Impact of Core Modules",
            better="logoseg",
            worse=("no-alignment",),
            columns=("MSRC seen", "MSRC unseen", "CamVid"),
        ),
    ),
    seeds=(0, 1, 2),
    notes=(
        Note(
            text="Unseen by the training of the table. The classifier in the bridge knows a thousand things by name, "
            "cars and bicycles among them.",
            columns=("MSRC unseen", "CamVid"),
        ),
        Note(text="All at one learning rate, that of the suite; CAT-Seg and SED have a quarter of their widths."),
    ),
)
