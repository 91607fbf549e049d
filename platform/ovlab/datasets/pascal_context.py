"""PASCAL-Context: the photographs of VOC 2010 with labels for the whole scene, as PC-59 and PC-459.

PC-59 is painted from the regions of trainval_merged.json, PC-459 is read from trainval/*.mat. The JSON holds 4,996
train and 5,104 val images, a few less than the 4,998 and 5,105 that papers quote from the lists of VOC 2010.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt16

from ovlab.datasets.context_regions import MergedRegions, load_merged_regions, paint
from ovlab.datasets.label_map import MISSING_LABEL, lookup_table, refuse_other_size, to_train_ids
from ovlab.datasets.original import (
    Listing,
    OriginalPair,
    OriginalSplit,
    find_file,
    find_folder,
    lines_of,
    listed_ids,
    refuse_other_split,
)
from ovlab.datasets.photograph import read_photograph
from ovlab.datasets.picture_file import file_bytes
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

NUM_IMAGES_59 = {"train": 4_996, "val": 5_104}
NUM_IMAGES_459 = {"val": 5_104}

MERGED = "trainval_merged.json"
VAL_LIST = "pascalcontext_val.txt"

_ROOTS = ("VOCdevkit/VOC2010", "VOC2010", ".")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context59Split:
    """PC-59. merged: the images of the split and what is painted on them; table: the train id of each category."""

    name: str
    split: str
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    expected_count: int
    source: Path
    image_folder: Path
    merged: MergedRegions
    table: UInt16[np.ndarray, "V"]
    notes: tuple[str, ...] = ()

    def read(self, sample_id: str) -> OriginalPair:
        """A pixel outside the 59 classes, or painted by no region, is ignored."""
        source = f"{self.source}, image {sample_id}"
        shape, regions = self.merged.shapes[sample_id], self.merged.regions[sample_id]
        if not regions:
            raise InputError(f"{source}: no region is annotated.")
        image_path = self.image_folder / f"{sample_id}.jpg"
        photograph = read_photograph(image_path, "stored")
        refuse_other_size(shape, source, photograph.shape, image_path)
        label = to_train_ids(paint(regions, shape, source), self.table, source)
        return OriginalPair(sample_id, photograph.data, label)


def open_pascal_context_59(source: Path, split: str) -> OriginalSplit:
    """PC-59 below `source`, which is, or holds, VOCdevkit/VOC2010 with JPEGImages/ and trainval_merged.json.

    Raises InputError for another layout or split, and for a JSON file of another kind.
    """
    refuse_other_split("pc-59", split, NUM_IMAGES_59)
    _require("pycocotools")
    path = find_file(source, [f"{root}/{MERGED}" for root in _ROOTS], "the regions of PASCAL-Context")
    merged = load_merged_regions(path, split)
    raw_ids = load_raw_ids("pc-59")
    known = merged.category_ids.union(raw_ids, (0,))
    return Context59Split(
        name="pc-59",
        split=split,
        class_names=load_vocabulary("pc-59").entries,
        sample_ids=tuple(sorted(merged.shapes)),
        expected_count=NUM_IMAGES_59[split],
        source=path,
        image_folder=find_folder(path.parent, ("JPEGImages",), "the photographs of VOC 2010", ".jpg"),
        merged=merged,
        table=lookup_table(raw_ids, num_values=max(known) + 1, ignored=known),
        notes=merged.notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context459Split:
    """PC-459: label_folder/ID.mat holds LabelMap, 1 .. 459 at every pixel."""

    name: str
    split: str
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    expected_count: int
    image_folder: Path
    label_folder: Path
    notes: tuple[str, ...] = ()

    def read(self, sample_id: str) -> OriginalPair:
        """The train id is the label - 1. A 0 is refused: the map is unsigned, so that 0 - 1 is a large number."""
        image_path = self.image_folder / f"{sample_id}.jpg"
        label_path = self.label_folder / f"{sample_id}.mat"
        photograph = read_photograph(image_path, "stored")
        raw = _read_label_map(label_path)
        refuse_other_size(raw.shape, label_path, photograph.shape, image_path)
        lowest, highest, last = int(raw.min()), int(raw.max()), len(self.class_names)
        if lowest < 1 or highest > last:
            raise InputError(f"{label_path}: LabelMap holds {lowest} .. {highest}, allowed are 1 .. {last}.")
        return OriginalPair(sample_id, photograph.data, raw.astype(np.uint16) - np.uint16(1))


def open_pascal_context_459(source: Path, split: str) -> OriginalSplit:
    """PC-459 below `source`, which is, or holds, VOCdevkit/VOC2010 with JPEGImages/, trainval/*.mat and the list of
    validation images: pascalcontext_val.txt (CAT-Seg), else the images of phase val in trainval_merged.json.

    Raises InputError for another layout or split, and for a labels.txt of other classes.
    """
    refuse_other_split("pc-459", split, NUM_IMAGES_459)
    _require("scipy")
    labels = find_folder(source, [f"{root}/trainval" for root in _ROOTS], "the LabelMap files", ".mat")
    root = labels.parent
    class_names = load_vocabulary("pc-459").entries
    listing = _val_list(root)
    return Context459Split(
        name="pc-459",
        split=split,
        class_names=class_names,
        sample_ids=listing.sample_ids,
        expected_count=NUM_IMAGES_459[split],
        image_folder=find_folder(root, ("JPEGImages",), "the photographs of VOC 2010", ".jpg"),
        label_folder=labels,
        notes=(*listing.notes, *_check_names(root / "labels.txt", class_names)),
    )


def _val_list(root: Path) -> Listing:
    path = find_file(root, (VAL_LIST, MERGED), "the list of validation images")
    if path.name == MERGED:
        merged = load_merged_regions(path, "val")
        return Listing(tuple(sorted(merged.shapes)), merged.notes)
    return Listing(listed_ids(path), ())


def _check_names(path: Path, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """The notes on labels.txt, lines "number: name": it need not be there, but must not name other classes."""
    if not path.is_file():
        return (f"{path} is not there: the names are those of the published list, not checked against it",)
    lines = [line.split(":", 1) for line in lines_of(path) if ":" in line]
    found = [(number.strip(), name.strip()) for number, name in lines]
    expected = [(str(number), name) for number, name in enumerate(class_names, start=1)]
    for one, other in zip(found, expected, strict=False):
        if one != other:
            raise InputError(f"{path}: found '{': '.join(one)}', expected '{': '.join(other)}' of PASCAL-Context.")
    if len(found) != len(expected):
        raise InputError(f"{path}: found {len(found)} classes, expected the {len(expected)} of PASCAL-Context.")
    return ()


def _read_label_map(path: Path) -> Integer[np.ndarray, "H W"]:
    from scipy.io import loadmat

    content = file_bytes(path, MISSING_LABEL)
    try:
        label_map = loadmat(io.BytesIO(content))["LabelMap"]
    # A damaged file makes scipy raise nearly anything, from zlib.error to MemoryError.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: not a MATLAB file with a LabelMap ({reason}).") from None
    if label_map.ndim != 2 or label_map.dtype.kind not in "ui":
        raise InputError(f"{path}: LabelMap must be a matrix of integers, got {label_map.dtype} {label_map.shape}.")
    return label_map


def _require(package: str) -> None:
    """Raises InputError where an optional package is not installed."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise InputError(f"reading PASCAL-Context needs {package}; install it with: pip install 'logoseg[data]'.")
