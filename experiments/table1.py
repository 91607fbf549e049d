"""Table 1: LoGoSeg beside the field, on six benchmarks that it was not trained for.

Claims: a larger backbone is better, on every benchmark; LoGoSeg leads its group.
Measured here: the four rows of LoGoSeg, those of SAN, SED and CAT-Seg as published at CVPR 2024, and, added to the
paper's, CLIP alone and four methods that need no training. All others are quoted. A rival's learning rate is the best
of `rates`, whose runs come first.

    ovlab plan table1 --suite shapes
    ovlab run table1 --suite shapes --rows 'logoseg-*' 'clip-*'
    ovlab run table1 --suite shapes
    ovlab run table1 --suite paper --data coco-stuff=URI --clip vit-b16=FILE ...

Cost, shapes: about three minutes a run of LoGoSeg, two runs at a time on two cores; of the others see `rivals`.
Cost, paper: not measured yet; the paper trained on four RTX 4090.
"""

from ovlab.specs.table import Alone, Claim, Note, Row, Table, Variation

MEDIUM, LARGE = "medium backbones", "large backbones"

TABLE = Table(
    name="table1",
    title="Comparison with the state of the art, mIoU (%)",
    details={
        "vlm": "VLM",
        "feature_backbone": "Feature backbone",
        "training_set": "Training set",
        "additional_data": "Additional data",
        "num_learning": "Numbers that learn",
        "images_per_second": "Images/s",
        "peak_megabytes": "Peak MB",
    },
    rows=(
        Row(key="groupvit", label="GroupViT (Xu et al. 2022a)", group=MEDIUM, published="table1/groupvit"),
        Row(key="zegformer", label="ZegFormer (Ding et al. 2022)", group=MEDIUM, published="table1/zegformer"),
        Row(key="zsseg", label="ZSseg (Xu et al. 2022b)", group=MEDIUM, published="table1/zsseg"),
        Row(
            key="openseg-resnet101",
            label="OpenSeg (Ghiassi et al. 2022)",
            group=MEDIUM,
            published="table1/openseg-resnet101",
        ),
        Row(key="deop", label="DeOP (Han et al. 2023)", group=MEDIUM, published="table1/deop"),
        Row(key="pacl", label="PACL (Mukhoti et al. 2023)", group=MEDIUM, published="table1/pacl"),
        Row(key="ovseg-vit-b", label="OVSeg (Liang et al. 2023)", group=MEDIUM, published="table1/ovseg-vit-b"),
        Row(
            key="san-vit-b",
            label="SAN (Xu et al. 2023b)",
            group=MEDIUM,
            published="table1/san-vit-b",
            run=Variation(backbone="vit-b", method="san", rate_by="rates"),
        ),
        Row(key="cat-seg-vit-b", label="CAT-Seg (Cho et al. 2024)", group=MEDIUM, published="table1/cat-seg-vit-b"),
        Row(
            key="cat-seg-cvpr24-vit-b",
            label="CAT-Seg (Cho et al., CVPR 2024)",
            group=MEDIUM,
            published="cat-seg-cvpr24/vit-b",
            run=Variation(backbone="vit-b", method="cat-seg", rate_by="rates"),
        ),
        Row(key="ebseg-vit-b", label="EBSeg (Shan et al. 2024)", group=MEDIUM, published="table1/ebseg-vit-b"),
        Row(
            key="sed-convnext-b",
            label="SED (Xie et al. 2024)",
            group=MEDIUM,
            published="table1/sed-convnext-b",
            run=Variation(backbone="convnext-b", method="sed", rate_by="rates"),
        ),
        Row(
            key="logoseg-convnext-b",
            label="LoGoSeg (ours)",
            group=MEDIUM,
            published="table1/logoseg-convnext-b",
            run=Variation(backbone="convnext-b"),
        ),
        Row(
            key="logoseg-vit-b",
            label="LoGoSeg (ours)",
            group=MEDIUM,
            published="table1/logoseg-vit-b",
            run=Variation(backbone="vit-b"),
        ),
        Row(
            key="clip-vit-b",
            label="CLIP alone",
            group=MEDIUM,
            run=Alone(backbone="vit-b"),
            details={"vlm": "ViT-B/16"},
        ),
        Row(
            key="maskclip-vit-b",
            label="MaskCLIP",
            group=MEDIUM,
            run=Alone(method="maskclip", backbone="vit-b"),
            details={"vlm": "ViT-B/16"},
        ),
        Row(
            key="sclip-vit-b",
            label="SCLIP",
            group=MEDIUM,
            run=Alone(method="sclip", backbone="vit-b"),
            details={"vlm": "ViT-B/16"},
        ),
        Row(
            key="clearclip-vit-b",
            label="ClearCLIP",
            group=MEDIUM,
            run=Alone(method="clearclip", backbone="vit-b"),
            details={"vlm": "ViT-B/16"},
        ),
        Row(
            key="naclip-vit-b",
            label="NACLIP",
            group=MEDIUM,
            run=Alone(method="naclip", backbone="vit-b"),
            details={"vlm": "ViT-B/16"},
        ),
        Row(
            key="clip-convnext-b",
            label="CLIP alone",
            group=MEDIUM,
            run=Alone(backbone="convnext-b"),
            details={"vlm": "ConvNeXt-B"},
        ),
        Row(key="lseg", label="LSeg (Li et al. 2022)", group=LARGE, published="table1/lseg"),
        Row(
            key="openseg-eff-b7", label="OpenSeg (Ghiassi et al. 2022)", group=LARGE, published="table1/openseg-eff-b7"
        ),
        Row(key="ovseg-vit-l", label="OVSeg (Liang et al. 2023)", group=LARGE, published="table1/ovseg-vit-l"),
        Row(key="odise", label="ODISE (Xu et al. 2023a)", group=LARGE, published="table1/odise"),
        Row(key="hipie", label="HIPIE (Wang et al. 2023)", group=LARGE, published="table1/hipie"),
        Row(
            key="san-vit-l",
            label="SAN (Xu et al. 2023b)",
            group=LARGE,
            published="table1/san-vit-l",
            run=Variation(backbone="vit-l", method="san", rate_by="rates"),
        ),
        Row(key="cat-seg-vit-l", label="CAT-Seg (Cho et al. 2024)", group=LARGE, published="table1/cat-seg-vit-l"),
        Row(
            key="cat-seg-cvpr24-vit-l",
            label="CAT-Seg (Cho et al., CVPR 2024)",
            group=LARGE,
            published="cat-seg-cvpr24/vit-l",
            run=Variation(backbone="vit-l", method="cat-seg", rate_by="rates"),
        ),
        Row(key="fc-clip", label="FC-CLIP (Yu et al. 2023)", group=LARGE, published="table1/fc-clip"),
        Row(key="ebseg-vit-l", label="EBSeg (Shan et al. 2024)", group=LARGE, published="table1/ebseg-vit-l"),
        Row(
            key="sed-convnext-l",
            label="SED (Xie et al. 2024)",
            group=LARGE,
            published="table1/sed-convnext-l",
            run=Variation(backbone="convnext-l", method="sed", rate_by="rates"),
        ),
        Row(key="maft-plus", label="MAFT+ (Jiao et al. 2024)", group=LARGE, published="table1/maft-plus"),
        Row(
            key="logoseg-convnext-l",
            label="LoGoSeg (ours)",
            group=LARGE,
            published="table1/logoseg-convnext-l",
            run=Variation(backbone="convnext-l"),
        ),
        Row(
            key="logoseg-vit-l",
            label="LoGoSeg (ours)",
            group=LARGE,
            published="table1/logoseg-vit-l",
            run=Variation(backbone="vit-l"),
        ),
        Row(
            key="clip-vit-l",
            label="CLIP alone",
            group=LARGE,
            run=Alone(backbone="vit-l"),
            details={"vlm": "ViT-L/14"},
        ),
        Row(
            key="maskclip-vit-l",
            label="MaskCLIP",
            group=LARGE,
            run=Alone(method="maskclip", backbone="vit-l"),
            details={"vlm": "ViT-L/14"},
        ),
        Row(
            key="sclip-vit-l",
            label="SCLIP",
            group=LARGE,
            run=Alone(method="sclip", backbone="vit-l"),
            details={"vlm": "ViT-L/14"},
        ),
        Row(
            key="clearclip-vit-l",
            label="ClearCLIP",
            group=LARGE,
            run=Alone(method="clearclip", backbone="vit-l"),
            details={"vlm": "ViT-L/14"},
        ),
        Row(
            key="naclip-vit-l",
            label="NACLIP",
            group=LARGE,
            run=Alone(method="naclip", backbone="vit-l"),
            details={"vlm": "ViT-L/14"},
        ),
        Row(
            key="clip-convnext-l",
            label="CLIP alone",
            group=LARGE,
            run=Alone(backbone="convnext-l"),
            details={"vlm": "ConvNeXt-L"},
        ),
    ),
    claims=(
        Claim(
            text="The larger ViT is better on every benchmark.",
            where="Section 3.3, Backbone Configurations and Scaling",
            better="logoseg-vit-l",
            worse=("logoseg-vit-b",),
        ),
        Claim(
            text="ConvNeXt scales alike.",
            where="Section 3.3, Backbone Configurations and Scaling",
            better="logoseg-convnext-l",
            worse=("logoseg-convnext-b",),
        ),
        Claim(
            text="ConvNeXt-B matches or surpasses ViT-B/16.",
            where="Section 3.3, Backbone Configurations and Scaling",
            better="logoseg-convnext-b",
            worse=("logoseg-vit-b",),
        ),
        Claim(
            text="ConvNeXt-L matches or surpasses ViT-L/14.",
            where="Section 3.3, Backbone Configurations and Scaling",
            better="logoseg-convnext-l",
            worse=("logoseg-vit-l",),
        ),
        Claim(
            text="LoGoSeg is above the strongest two-stage method by 4.2 on PC-59.",
            where="Section 3.3, One-stage vs. Two-stage Frameworks",
            better="logoseg-vit-l",
            worse=("maft-plus",),
            columns=("PC-59",),
        ),
        Claim(
            text="LoGoSeg is above the best one-stage baseline by 1.9 on PC-459.",
            where="Section 3.3, One-stage vs. Two-stage Frameworks",
            better="logoseg-vit-l",
            worse=("sed-convnext-l",),
            columns=("PC-459",),
        ),
        Claim(
            text="LoGoSeg leads on both ADE20K splits.",
            where="Section 3.3, One-stage vs. Two-stage Frameworks",
            better="logoseg-vit-l",
            worse=("san-vit-l", "cat-seg-vit-l", "ebseg-vit-l", "sed-convnext-l"),
            columns=("A-847", "A-150"),
        ),
    ),
    notes=(
        Note(
            text="Added here, not in the paper's table: what the CLIP of a backbone gives without training.",
            rows=(
                "clip-vit-b",
                "maskclip-vit-b",
                "sclip-vit-b",
                "clearclip-vit-b",
                "naclip-vit-b",
                "clip-convnext-b",
                "clip-vit-l",
                "maskclip-vit-l",
                "sclip-vit-l",
                "clearclip-vit-l",
                "naclip-vit-l",
                "clip-convnext-l",
            ),
        ),
        Note(
            text="Measured: at 0.3, 1 or 3 times the suite's learning rate, the one with the best mIoU on 200 images "
            "held out of the training set, after half of the updates on the rest (table rates, seed 0).",
            rows=(
                "san-vit-b",
                "cat-seg-cvpr24-vit-b",
                "sed-convnext-b",
                "san-vit-l",
                "cat-seg-cvpr24-vit-l",
                "sed-convnext-l",
            ),
        ),
        Note(
            text="Images/s: in evaluations, by the seconds of their work. Peak MB: in training, of a whole process on "
            "a CPU, of torch on a GPU.",
        ),
        Note(
            text="Added here, not in the paper's table: CAT-Seg as published at CVPR 2024, without a second backbone. "
            "The paper cites it, and prints the figures of its first preprint, with ResNet-101 or Swin-B beside CLIP.",
            rows=("cat-seg-cvpr24-vit-b", "cat-seg-cvpr24-vit-l"),
        ),
        Note(
            text="Figures of CAT-Seg's first preprint, with a second backbone; see the row of CVPR 2024.",
            rows=("cat-seg-vit-b", "cat-seg-vit-l"),
        ),
        Note(
            text="Divided by the classes in the ground truth or the prediction, as detectron2 did before July 2022; "
            "most rows divide by those in the ground truth. On PC-459 that lowers a figure by about a quarter.",
            rows=("san-vit-b", "san-vit-l", "odise"),
            columns=("PC-459",),
        ),
        Note(
            text="Probably divided by the classes in the ground truth or the prediction, too; not recorded.",
            rows=("zegformer", "ovseg-vit-b", "ovseg-vit-l", "maft-plus"),
            columns=("PC-459",),
        ),
        Note(text="Printed as ViT-B/14; its code has ViT-B/16.", rows=("san-vit-b",)),
        Note(text="Its code has an image encoder of SAM as a second backbone.", rows=("ebseg-vit-b", "ebseg-vit-l")),
        Note(text="Asks for every class by several names, which the others do not.", rows=("fc-clip", "maft-plus")),
    ),
)
