"""COCO-Stuff 164K: 171 classes, train and val, from the official zip files.

The label maps come from stuffthingmaps_trainval2017.zip, whose pixels are the COCO id - 1 and 255 where nothing is
labelled. stuff_annotations_trainval2017.zip looks alike and is not the same: its pixels are the COCO id itself, 92 to
182 for the stuff, 183 for every thing and 0 for unlabelled, so that read by mistake a forest would be of people.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ovlab.datasets.label_map import lookup_table, read_8_bit_map
from ovlab.datasets.original import FolderSplit, OriginalSplit, find_folder, list_pairs, refuse_other_split
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

NUM_IMAGES = {"train": 118_287, "val": 5_000}

# The values of stuff_annotations that stuffthingmaps never holds: wood is 182 there, and every thing is 183.
_STUFF_ONLY_VALUES = (182, 183)
# Label maps looked at when the split is opened: of those of the wrong archive nearly every one has a thing in it.
_NUM_PROBED = 8


def open_coco_stuff(source: Path, split: str) -> OriginalSplit:
    """The split "train" or "val" below `source`, which holds either of

    - train2017/, val2017/ and stuffthingmaps/{train2017,val2017}/: the zip files unpacked, the maps in a folder of
      their own or among the photographs;
    - images/{train2017,val2017}/ and annotations/{train2017,val2017}/: the layout of CAT-Seg and MMSegmentation.

    Raises InputError for another layout, another split and the wrong archive.
    """
    refuse_other_split("coco-stuff", split, NUM_IMAGES)
    year = f"{split}2017"
    images = find_folder(source, (f"images/{year}", year), "the photographs of COCO 2017", ".jpg")
    _refuse_stuff_folder(source, year)
    labels = find_folder(
        source,
        (f"annotations/{year}", f"stuffthingmaps/{year}", f"stuffthingmaps_trainval2017/{year}", year),
        "the label maps of stuffthingmaps_trainval2017.zip",
        ".png",
    )
    # Other preparations leave ID_labelTrainIds.png beside ID.png.
    listing = list_pairs(images, labels, str.isdigit)
    for sample_id in listing.sample_ids[:_NUM_PROBED]:
        path = labels / f"{sample_id}.png"
        if path.is_file():
            refuse_stuff_only(read_8_bit_map(path), path)
    return FolderSplit(
        name="coco-stuff",
        split=split,
        class_names=load_vocabulary("coco-stuff").entries,
        sample_ids=listing.sample_ids,
        expected_count=NUM_IMAGES[split],
        image_folder=images,
        label_folder=labels,
        table=lookup_table(load_raw_ids("coco-stuff"), num_values=256, ignored=(255,)),
        check=refuse_stuff_only,
        notes=listing.notes,
    )


def refuse_stuff_only(raw: UInt8[np.ndarray, "H W"], path: Path) -> None:
    """Raises InputError for a label map of stuff_annotations_trainval2017.zip."""
    if np.isin(_STUFF_ONLY_VALUES, raw).any():
        raise InputError(_wrong_archive(str(path)))


def _refuse_stuff_folder(source: Path, year: str) -> None:
    for folder in (f"stuff_{year}_pixelmaps", f"annotations/stuff_{year}_pixelmaps"):
        if (source / folder).is_dir() and not (source / "annotations" / year).is_dir():
            raise InputError(_wrong_archive(f"{source / folder}/"))


def _wrong_archive(place: str) -> str:
    return (
        f"{place}: these labels are from stuff_annotations_trainval2017.zip, which has no things; "
        "download stuffthingmaps_trainval2017.zip."
    )
