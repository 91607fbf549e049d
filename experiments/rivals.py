"""LoGoSeg beside its rivals: the same CLIP, data, updates, seeds and protocol, in both mIoU conventions.

The paper's claim is that LoGoSeg is above each one-stage method, on every benchmark. Table 1 quotes them; here they are
trained. Rivals bring their own losses, shares of the learning rate of CLIP's towers and prompts; the schedule is the
suite's, and the rate that which `rates` finds best on images held out of the training set. The last columns: PC-459
divided as before July 2022, A-150 under the protocol each method was published with, and the share of the predicted
area in classes that are not in the image.

    ovlab plan rivals --suite shapes
    ovlab run rivals --suite shapes        # what is missing of rates comes first

Cost, shapes: not measured; one update of four images took about 10 CPU seconds with CAT-Seg, 9 with SED, 0.7 with SAN.
Cost, paper: not measured.
"""

from ovlab.specs.table import SIX_BENCHMARKS, Alone, Claim, Column, Note, Row, Table, Variation

VIT, CONVNEXT = "ViT-B/16", "ConvNeXt-B"
SIX = ("A-847", "PC-459", "A-150", "PC-59", "PAS-20", "PAS-20b")

TABLE = Table(
    name="rivals",
    title="Methods on one CLIP under one protocol, mIoU (%)",
    columns=(
        *SIX_BENCHMARKS,
        Column(title="PC-459, legacy", benchmark="pc-459", score="legacy_miou"),
        Column(title="A-150, own protocol", benchmark="a-150", protocol="own"),
        Column(title="A-150, hallucination", benchmark="a-150", score="hallucination_rate"),
    ),
    details={
        "learning_rate": "Learning rate",
        "num_learning": "Numbers that learn",
        "images_per_second": "Images/s",
        "peak_megabytes": "Peak MB",
    },
    rows=(
        Row(key="clip-vit-b", label="CLIP alone", group=VIT, run=Alone()),
        Row(key="maskclip-vit-b", label="MaskCLIP", group=VIT, run=Alone(method="maskclip")),
        Row(key="sclip-vit-b", label="SCLIP", group=VIT, run=Alone(method="sclip")),
        Row(key="clearclip-vit-b", label="ClearCLIP", group=VIT, run=Alone(method="clearclip")),
        Row(key="naclip-vit-b", label="NACLIP", group=VIT, run=Alone(method="naclip")),
        Row(key="san-vit-b", label="SAN", group=VIT, run=Variation(method="san", rate_by="rates")),
        Row(key="cat-seg-vit-b", label="CAT-Seg", group=VIT, run=Variation(method="cat-seg", rate_by="rates")),
        Row(key="logoseg-vit-b", label="LoGoSeg (ours)", group=VIT, run=Variation()),
        Row(key="clip-convnext-b", label="CLIP alone", group=CONVNEXT, run=Alone(backbone="convnext-b")),
        Row(
            key="sed-convnext-b",
            label="SED",
            group=CONVNEXT,
            run=Variation(backbone="convnext-b", method="sed", rate_by="rates"),
        ),
        Row(
            key="cat-seg-convnext-b",
            label="CAT-Seg",
            group=CONVNEXT,
            run=Variation(backbone="convnext-b", method="cat-seg", rate_by="rates"),
        ),
        Row(key="logoseg-convnext-b", label="LoGoSeg (ours)", group=CONVNEXT, run=Variation(backbone="convnext-b")),
    ),
    claims=(
        Claim(
            text="LoGoSeg is above each one-stage method on a ViT.",
            where="Section 3.3, Table 1",
            better="logoseg-vit-b",
            worse=("san-vit-b", "cat-seg-vit-b"),
            columns=SIX,
        ),
        Claim(
            text="LoGoSeg is above each one-stage method on a ConvNeXt.",
            where="Section 3.3, Table 1",
            better="logoseg-convnext-b",
            worse=("sed-convnext-b", "cat-seg-convnext-b"),
            columns=SIX,
        ),
        Claim(
            text="SED is the best of the one-stage baselines.",
            where="Section 3.3, One-stage vs. Two-stage Frameworks",
            better="sed-convnext-b",
            worse=("cat-seg-convnext-b",),
            columns=SIX,
        ),
        Claim(
            text="LoGoSeg hallucinates less than SED.",
            where="Figure 3",
            better="logoseg-convnext-b",
            worse=("sed-convnext-b",),
            columns=("A-150, hallucination",),
        ),
    ),
    seeds=(0, 1, 2),
    notes=(
        Note(
            text="At 0.3, 1 or 3 times the suite's learning rate: the one with the best mIoU on 200 images held out of "
            "the training set, after half of the updates on the rest (table rates, seed 0). LoGoSeg is at the suite's.",
            rows=("san-vit-b", "cat-seg-vit-b", "sed-convnext-b", "cat-seg-convnext-b"),
        ),
        Note(
            text="Images/s: in evaluations, by the seconds of their work. Peak MB: in training, of a whole process on "
            "a CPU, of torch on a GPU.",
        ),
        Note(text="Lower is better.", columns=("A-150, hallucination",)),
    ),
)
