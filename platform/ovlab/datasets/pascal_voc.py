"""PASCAL VOC 2012, validation: PAS-20 and PAS-20b.

Both read the same label files, in which 0 is background, 1 to 20 are the classes and 255 is the border drawn around
objects. PAS-20 ignores the background. PAS-20b scores it as a 21st class, while the model is asked for the 59 names of
the vocabulary "pas-20b": every prediction >= BACKGROUND is background.
"""

from pathlib import Path

from ovlab.datasets.label_map import lookup_table
from ovlab.datasets.original import FolderSplit, OriginalSplit, find_file, find_folder, listed_ids, refuse_other_split
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary

NUM_IMAGES = {"val": 1_449}

# The train id of background in PAS-20b.
BACKGROUND = 20

_ROOTS = ("VOCdevkit/VOC2012", "VOC2012", ".")
_BORDER = 255


def open_voc_20(source: Path, split: str) -> OriginalSplit:
    """PAS-20 below `source`, which is, or holds, VOCdevkit/VOC2012 or VOC2012. N = 20, the background is ignored.

    The labels are SegmentationClassAug/, or, where there is no such folder, the palette files of SegmentationClass/.
    Raises InputError for another layout or split.
    """
    return _open(source, split, name="pas-20", class_names=_names(), ignored=(0, _BORDER), background=None)


def open_voc_20b(source: Path, split: str) -> OriginalSplit:
    """PAS-20b below `source`, as `open_voc_20`. N = 21, the last is "background"."""
    names = (*_names(), "background")
    return _open(source, split, name="pas-20b", class_names=names, ignored=(_BORDER,), background=0)


def _open(
    source: Path,
    split: str,
    *,
    name: str,
    class_names: tuple[str, ...],
    ignored: tuple[int, ...],
    background: int | None,
) -> OriginalSplit:
    refuse_other_split(name, split, NUM_IMAGES)
    listing = find_file(
        source, [f"{root}/ImageSets/Segmentation/{split}.txt" for root in _ROOTS], "the list of validation images"
    )
    root = listing.parents[2]
    labels = find_folder(root, ("SegmentationClassAug", "SegmentationClass"), "label maps", ".png")
    notes = (f"labels from {labels.name}/, as SegmentationClassAug/ is not there",)
    return FolderSplit(
        name=name,
        split=split,
        class_names=class_names,
        sample_ids=listed_ids(listing),
        expected_count=NUM_IMAGES[split],
        image_folder=find_folder(root, ("JPEGImages",), "the photographs", ".jpg"),
        label_folder=labels,
        table=lookup_table(load_raw_ids("pas-20"), num_values=256, ignored=ignored, background=background),
        notes=notes if labels.name == "SegmentationClass" else (),
    )


def _names() -> tuple[str, ...]:
    return load_vocabulary("pas-20").entries
