"""The runs of photographs.py on benchmarks of the paper's, with their own vocabularies: what lies there is scored, be
it a few samples.

    ovlab run photograph_samples --suite photographs --data pas-20=DIR --data a-150=DIR --data coco-stuff=DIR

Cost: beside that of photographs.py, a forward pass an image.
"""

from ovlab.specs.table import Alone, Column, Note, Row, Table, Variation

TABLE = Table(
    name="photograph_samples",
    title="Methods on the ImageNet-MiniLM bridge, trained on the seen classes of MSRC, mIoU (%)",
    columns=(
        Column(title="PAS-20", benchmark="pas-20"),
        Column(title="A-150", benchmark="a-150"),
        Column(title="COCO-Stuff", benchmark="coco-stuff"),
    ),
    rows=(
        Row(key="floor", label="the bridge alone", run=Alone(method="bridge", backbone="bridge")),
        Row(
            key="logoseg",
            label="LoGoSeg (ours)",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen"),
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
    ),
    seeds=(0, 1, 2),
    notes=(Note(text="Of whatever lies at these places; how many images those are, no figure says."),),
)
