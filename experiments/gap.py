"""What is missing to an mIoU of 100 %: what two oracles close, and what they leave.

One oracle tells which classes are in an image, the other where its regions are, each of which then has its majority
answer. Hallucination is what the first closes, boundaries what the second does, each as the mean of being asked first
and last; confusion is what is left with both: regions taken for another class of their image. The three add up to
100 - mIoU. The runs are those of rivals.py.

    ovlab run gap --suite shapes

Cost: the evaluations, anew, beside those of rivals.py.
"""

from ovlab.specs.table import Alone, Column, Row, Table, Variation

VIT, CONVNEXT = "ViT-B/16", "ConvNeXt-B"

TABLE = Table(
    name="gap",
    title="The gap to 100 % mIoU (points), lower is better but for mIoU",
    rows=(
        Row(key="clip-vit-b", label="CLIP alone", group=VIT, run=Alone()),
        Row(key="maskclip-vit-b", label="MaskCLIP", group=VIT, run=Alone(method="maskclip")),
        Row(key="sclip-vit-b", label="SCLIP", group=VIT, run=Alone(method="sclip")),
        Row(key="clearclip-vit-b", label="ClearCLIP", group=VIT, run=Alone(method="clearclip")),
        Row(key="naclip-vit-b", label="NACLIP", group=VIT, run=Alone(method="naclip")),
        Row(key="san-vit-b", label="SAN", group=VIT, run=Variation(method="san")),
        Row(key="cat-seg-vit-b", label="CAT-Seg", group=VIT, run=Variation(method="cat-seg")),
        Row(key="logoseg-vit-b", label="LoGoSeg (ours)", group=VIT, run=Variation()),
        Row(key="clip-convnext-b", label="CLIP alone", group=CONVNEXT, run=Alone(backbone="convnext-b")),
        Row(key="sed-convnext-b", label="SED", group=CONVNEXT, run=Variation(backbone="convnext-b", method="sed")),
        Row(
            key="cat-seg-convnext-b",
            label="CAT-Seg",
            group=CONVNEXT,
            run=Variation(backbone="convnext-b", method="cat-seg"),
        ),
        Row(key="logoseg-convnext-b", label="LoGoSeg (ours)", group=CONVNEXT, run=Variation(backbone="convnext-b")),
    ),
    columns=(
        Column(title="A-847", benchmark="a-847"),
        Column(title="A-847 hallucination", benchmark="a-847", score="hallucination_gap"),
        Column(title="A-847 confusion", benchmark="a-847", score="confusion_gap"),
        Column(title="A-847 boundaries", benchmark="a-847", score="boundary_gap"),
        Column(title="A-150", benchmark="a-150"),
        Column(title="A-150 hallucination", benchmark="a-150", score="hallucination_gap"),
        Column(title="A-150 confusion", benchmark="a-150", score="confusion_gap"),
        Column(title="A-150 boundaries", benchmark="a-150", score="boundary_gap"),
    ),
    seeds=(0, 1, 2),
)
