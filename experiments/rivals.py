"""LoGoSeg beside its rivals: the same CLIP, data, updates, seeds and protocol, in both mIoU conventions.

The paper's claim is that LoGoSeg is above each one-stage method, on every benchmark. Table 1 quotes them; here they are
trained. Rivals bring their own losses, learning rates of CLIP's towers and prompts; rate and schedule of the rest are
the suite's.

    ovlab plan rivals --suite shapes
    ovlab run rivals --suite shapes

Cost, shapes: not measured; one update of four images took about 10 CPU seconds with CAT-Seg, 9 with SED, 0.7 with SAN.
Cost, paper: not measured.
"""

from ovlab.specs.table import Alone, Claim, Note, Row, Table, Variation

VIT, CONVNEXT = "ViT-B/16", "ConvNeXt-B"

TABLE = Table(
    name="rivals",
    title="Methods on one CLIP under one protocol, mIoU (%)",
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
    claims=(
        Claim(
            text="LoGoSeg is above each one-stage method on a ViT.",
            where="Section 3.3, Table 1",
            better="logoseg-vit-b",
            worse=("san-vit-b", "cat-seg-vit-b"),
        ),
        Claim(
            text="LoGoSeg is above each one-stage method on a ConvNeXt.",
            where="Section 3.3, Table 1",
            better="logoseg-convnext-b",
            worse=("sed-convnext-b", "cat-seg-convnext-b"),
        ),
        Claim(
            text="SED is the best of the one-stage baselines.",
            where="Section 3.3, One-stage vs. Two-stage Frameworks",
            better="sed-convnext-b",
            worse=("cat-seg-convnext-b",),
        ),
    ),
    seeds=(0, 1, 2),
    notes=(
        Note(
            text="Trained at the suite's learning rate; none of its own was searched.",
            rows=("san-vit-b", "cat-seg-vit-b", "sed-convnext-b", "cat-seg-convnext-b"),
        ),
    ),
)
