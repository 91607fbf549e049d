"""MSRC v2: 591 photographs, 23 classes, coarse borders and much void.

It is published without a split; this one is the project's own. A photograph is called GROUP_NUMBER_s, and of every
group, in the order of the numbers, the first 45 % are for training, the last 45 % for tests, and those between them for
validation: 273, 273 and 45.

Training sees the 15 classes that CamVid has no name and no like for (vocabularies/seen/msrc.txt), so that all of CamVid
is unseen by it.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from ovlab.datasets.label_map import MISSING_LABEL, lookup_table, refuse_other_size
from ovlab.datasets.original import (
    FolderSplit,
    OriginalPair,
    OriginalSplit,
    find_folder,
    left_out,
    list_pairs,
    refuse_other_split,
    stems,
)
from ovlab.datasets.photograph import read_photograph
from ovlab.datasets.picture_file import decoding, file_bytes
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

NUM_IMAGES = {"train": 273, "val": 45, "test": 273}
_NAME = re.compile(r"(\d+)_(\d+)_s")
_VOID = 0x000000
_LABEL = "_GT.bmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _BitmapSplit:
    """A split of the publication: ID.bmp, and ID_GT.bmp with a colour for each class and black for none."""

    split: str
    sample_ids: tuple[str, ...]
    image_folder: Path
    label_folder: Path
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return "msrc"

    @property
    def class_names(self) -> tuple[str, ...]:
        return load_vocabulary("msrc").entries

    @property
    def expected_count(self) -> int:
        return NUM_IMAGES[self.split]

    def read(self, sample_id: str) -> OriginalPair:
        image_path, label_path = self.image_folder / f"{sample_id}.bmp", self.label_folder / f"{sample_id}{_LABEL}"
        photograph = read_photograph(image_path, "stored")
        label = _read_colours(label_path)
        refuse_other_size(label.shape, label_path, photograph.shape, image_path)
        return OriginalPair(sample_id, photograph.data, label)


def open_msrc(source: Path, split: str) -> OriginalSplit:
    """The split below `source`, which holds either of

    - Images/ and GroundTruth/, or MSRC_ObjCategImageDatabase_v2/ with both: Microsoft's zip file, unpacked;
    - SPLIT/images/ID.jpg and SPLIT/labels/ID.png, the class index of each pixel or 255: other labels of the same
      photographs, divided already.

    Raises InputError for another layout or split.
    """
    refuse_other_split("msrc", split, NUM_IMAGES)
    roots = ("", "MSRC_ObjCategImageDatabase_v2/")
    images = find_folder(source, (f"{split}/images", *(f"{root}Images" for root in roots)), "the photographs of MSRC")
    if images == source / split / "images":
        return _divided(source, split, images)
    labels = find_folder(images.parent, ("GroundTruth",), "the label maps of MSRC", _LABEL)
    names = stems(images, ".bmp") | stems(labels, _LABEL)
    ids = [name for name in names if _NAME.fullmatch(name)]
    others = [
        f"{folder.name}/{entry.name}"
        for folder, suffix in ((images, ".bmp"), (labels, _LABEL))
        for entry in folder.iterdir()
        if not (entry.name.endswith(suffix) and _NAME.fullmatch(entry.name.removesuffix(suffix)))
    ]
    return _BitmapSplit(
        split=split,
        sample_ids=divided(ids)[split],
        image_folder=images,
        label_folder=labels,
        notes=left_out(images.parent, others),
    )


def divided(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The names GROUP_NUMBER_s of each split, sorted."""
    groups: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        group, number, _ = name.split("_")
        groups[group].append((int(number), name))
    splits: dict[str, list[str]] = {split: [] for split in NUM_IMAGES}
    for numbered in groups.values():
        ordered = [name for _, name in sorted(numbered)]
        share = round(0.45 * len(ordered))
        splits["train"] += ordered[:share]
        splits["val"] += ordered[share : len(ordered) - share]
        splits["test"] += ordered[len(ordered) - share :]
    return {split: tuple(sorted(found)) for split, found in splits.items()}


def _divided(source: Path, split: str, images: Path) -> OriginalSplit:
    labels = find_folder(source, (f"{split}/labels",), "the label maps of MSRC", ".png")
    listing = list_pairs(images, labels)
    names = load_vocabulary("msrc").entries
    return FolderSplit(
        name="msrc",
        split=split,
        class_names=names,
        sample_ids=listing.sample_ids,
        expected_count=NUM_IMAGES[split],
        image_folder=images,
        label_folder=labels,
        table=lookup_table(range(len(names)), num_values=256, ignored=(255,)),
        notes=listing.notes,
    )


def _read_colours(path: Path) -> UInt16[np.ndarray, "H W"]:
    """The train id of the colour of every pixel. Raises InputError that names the file."""
    content = file_bytes(path, MISSING_LABEL)
    with decoding(path, "label"):
        colours = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(np.int64)
    known = {colour: index for index, colour in enumerate(load_raw_ids("msrc"))} | {_VOID: IGNORE_INDEX}
    found, where = np.unique(colours @ (0x10000, 0x100, 1), return_inverse=True)
    unknown = [colour for colour in found.tolist() if colour not in known]
    if unknown:
        raise InputError(f"{path}: the colour #{unknown[0]:06x} is in the label, and no class of MSRC.")
    ids = np.array([known[colour] for colour in found.tolist()], dtype=np.uint16)
    return ids[where].reshape(colours.shape[:2])
