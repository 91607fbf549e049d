"""The learning rates of the rivals: three each, tried on images that are held out of the training set.

A rival is trained on the rest of the training set for half of the suite's updates, at 0.3, 1 and 3 times the suite's
rate, and scored by mIoU on the 200 images that are held out, under the protocol of its backbone. `rivals` takes the
best of each; no benchmark is looked at.

    ovlab run rates --suite shapes
    ovlab run rivals --suite shapes

Cost, shapes: not measured; 50 updates and 200 images a run.
Cost, paper: not measured.
"""

from ovlab.specs.table import Column, Row, Table, Variation

SAN, CAT_SEG, CAT_SEG_CONVNEXT, SED = "SAN, ViT-B/16", "CAT-Seg, ViT-B/16", "CAT-Seg, ConvNeXt-B", "SED, ConvNeXt-B"
LOW = {"learning_rate": 0.3, "steps": 0.5}
MIDDLE = {"learning_rate": 1.0, "steps": 0.5}
HIGH = {"learning_rate": 3.0, "steps": 0.5}

TABLE = Table(
    name="rates",
    title="Learning rates on held-out training images, mIoU (%)",
    columns=(Column(title="Held out", benchmark="coco-stuff", split="train-held-out"),),
    rows=(
        Row(
            key="san-vit-b-low",
            label="0.3 times the rate",
            group=SAN,
            run=Variation(method="san", split="train-fit", scaled=LOW),
        ),
        Row(
            key="san-vit-b-middle",
            label="1 time the rate",
            group=SAN,
            run=Variation(method="san", split="train-fit", scaled=MIDDLE),
        ),
        Row(
            key="san-vit-b-high",
            label="3 times the rate",
            group=SAN,
            run=Variation(method="san", split="train-fit", scaled=HIGH),
        ),
        Row(
            key="cat-seg-vit-b-low",
            label="0.3 times the rate",
            group=CAT_SEG,
            run=Variation(method="cat-seg", split="train-fit", scaled=LOW),
        ),
        Row(
            key="cat-seg-vit-b-middle",
            label="1 time the rate",
            group=CAT_SEG,
            run=Variation(method="cat-seg", split="train-fit", scaled=MIDDLE),
        ),
        Row(
            key="cat-seg-vit-b-high",
            label="3 times the rate",
            group=CAT_SEG,
            run=Variation(method="cat-seg", split="train-fit", scaled=HIGH),
        ),
        Row(
            key="cat-seg-convnext-b-low",
            label="0.3 times the rate",
            group=CAT_SEG_CONVNEXT,
            run=Variation(backbone="convnext-b", method="cat-seg", split="train-fit", scaled=LOW),
        ),
        Row(
            key="cat-seg-convnext-b-middle",
            label="1 time the rate",
            group=CAT_SEG_CONVNEXT,
            run=Variation(backbone="convnext-b", method="cat-seg", split="train-fit", scaled=MIDDLE),
        ),
        Row(
            key="cat-seg-convnext-b-high",
            label="3 times the rate",
            group=CAT_SEG_CONVNEXT,
            run=Variation(backbone="convnext-b", method="cat-seg", split="train-fit", scaled=HIGH),
        ),
        Row(
            key="sed-convnext-b-low",
            label="0.3 times the rate",
            group=SED,
            run=Variation(backbone="convnext-b", method="sed", split="train-fit", scaled=LOW),
        ),
        Row(
            key="sed-convnext-b-middle",
            label="1 time the rate",
            group=SED,
            run=Variation(backbone="convnext-b", method="sed", split="train-fit", scaled=MIDDLE),
        ),
        Row(
            key="sed-convnext-b-high",
            label="3 times the rate",
            group=SED,
            run=Variation(backbone="convnext-b", method="sed", split="train-fit", scaled=HIGH),
        ),
    ),
)
