"""The learning rates of the rivals: three each, tried on images that are held out of the training set.

A rival is trained on the rest of the training set for half of the suite's updates, at 0.3, 1 and 3 times the suite's
rate, and scored by mIoU on the 200 images that are held out, under the protocol of its backbone. `rivals` takes the
best of each, and so do Tables 1 and 5; no benchmark is looked at. Whoever runs one of those tables runs first what of
this one it needs.

    ovlab run rates --suite shapes

Cost, shapes: not measured; 50 updates and 200 images a run.
Cost, paper: not measured.
"""

from ovlab.specs.table import Column, Row, Table, Variation

RIVALS = (
    ("san", "vit-b"),
    ("cat-seg", "vit-b"),
    ("cat-seg", "convnext-b"),
    ("sed", "convnext-b"),
    ("san", "vit-l"),
    ("cat-seg", "vit-l"),
    ("sed", "convnext-l"),
)
TITLES = {
    "san": "SAN",
    "cat-seg": "CAT-Seg",
    "sed": "SED",
    "vit-b": "ViT-B/16",
    "convnext-b": "ConvNeXt-B",
    "vit-l": "ViT-L/14",
    "convnext-l": "ConvNeXt-L",
}
RATES = {"low": 0.3, "middle": 1.0, "high": 3.0}

TABLE = Table(
    name="rates",
    title="Learning rates on held-out training images, mIoU (%)",
    columns=(Column(title="Held out", benchmark="coco-stuff", split="train-held-out"),),
    rows=tuple(
        Row(
            key=f"{method}-{backbone}-{name}",
            label=f"{rate:g} time{'s' if rate != 1 else ''} the rate",
            group=f"{TITLES[method]}, {TITLES[backbone]}",
            run=Variation(
                backbone=backbone, method=method, split="train-fit", scaled={"learning_rate": rate, "steps": 0.5}
            ),
        )
        for method, backbone in RIVALS
        for name, rate in RATES.items()
    ),
)
