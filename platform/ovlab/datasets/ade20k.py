"""ADE20K: A-150 from ADEChallengeData2016.zip and A-847 from the full ADE20K_2021_17_01."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from ovlab.datasets.ade20k_index import INDEX_FILE, refuse_other_names
from ovlab.datasets.label_map import lookup_table, read_colour_map, refuse_other_size, to_train_ids
from ovlab.datasets.original import (
    FolderSplit,
    OriginalPair,
    OriginalSplit,
    find_folder,
    is_kind,
    left_out,
    list_pairs,
    refuse_other_split,
)
from ovlab.datasets.photograph import encode_jpeg, limited_shape, read_photograph, resize_bilinear, resize_nearest
from ovlab.datasets.vocabulary import load_raw_ids, load_vocabulary
from ovlab.specs.errors import InputError

NUM_IMAGES_150 = {"train": 20_210, "val": 2_000}
NUM_IMAGES_847 = {"train": 25_574, "val": 2_000}

# A-847 is read, and scored, at this short side at most.
SHORT_SIDE_847 = 512
# Object and part names of ADE20K 2021_17_01, of which the 847 are a choice; the other ids are ignored.
NUM_OBJECTS = 3_688

_ENDINGS_847 = ("_seg.png", ".jpg")
# What the publication has beside a pair: the masks of parts, and the annotation as text.
_BESIDE_847 = re.compile(r"^[^.].*(_parts_\d+\.png|\.json)$")

_FOLDERS = {"train": "training", "val": "validation"}


def open_ade20k_150(source: Path, split: str) -> OriginalSplit:
    """A-150 below `source`, which is, or holds, ADEChallengeData2016. Labels: 1 .. 150, and 0 for the rest.

    Raises InputError for another layout or split.
    """
    refuse_other_split("a-150", split, NUM_IMAGES_150)
    folder = _FOLDERS[split]
    roots = ("ADEChallengeData2016", ".")
    images = find_folder(source, [f"{root}/images/{folder}" for root in roots], "the photographs", ".jpg")
    labels = find_folder(source, [f"{root}/annotations/{folder}" for root in roots], "the label maps", ".png")
    listing = list_pairs(images, labels)
    return FolderSplit(
        name="a-150",
        split=split,
        class_names=load_vocabulary("a-150").entries,
        sample_ids=listing.sample_ids,
        expected_count=NUM_IMAGES_150[split],
        image_folder=images,
        label_folder=labels,
        table=lookup_table(load_raw_ids("a-150"), num_values=256, ignored=(0,)),
        notes=listing.notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ade20kFullSplit:
    """A-847. folders: for each id, the folder of its scene, below `root`; table: the train id of each object id."""

    name: str
    split: str
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    expected_count: int
    root: Path
    folders: dict[str, str]
    table: UInt16[np.ndarray, "V"]
    notes: tuple[str, ...] = ()

    def read(self, sample_id: str) -> OriginalPair:
        """The object id of a pixel is R // 10 * 256 + G; B tells instances apart. A pair whose short side is more
        than 512 is resized to it, the label by nearest, the photograph bilinearly and encoded again."""
        folder = self.root / self.folders[sample_id]
        image_path = folder / f"{sample_id}.jpg"
        label_path = folder / f"{sample_id}_seg.png"
        photograph = read_photograph(image_path, "stored")
        colours = read_colour_map(label_path).astype(np.uint16)
        refuse_other_size(colours.shape, label_path, photograph.shape, image_path)
        label = to_train_ids(colours[..., 0] // 10 * 256 + colours[..., 1], self.table, label_path)
        shape = limited_shape(photograph.shape, SHORT_SIDE_847)
        if shape == photograph.shape:
            return OriginalPair(sample_id, photograph.data, label)
        return OriginalPair(
            sample_id, encode_jpeg(resize_bilinear(photograph.pixels, shape)), resize_nearest(label, shape)
        )


def open_ade20k_847(source: Path, split: str) -> OriginalSplit:
    """A-847 below `source`, which is, or holds, ADE20K_2021_17_01.

    The folder decides the split, since ADE_frame_* is in both. Where index_ade20k.pkl is there, the 847 ids and their
    names are checked against it; where it is not, the split says so in its notes. Raises InputError for another layout
    or split, for an image that is there twice, and for an index of other classes.
    """
    refuse_other_split("a-847", split, NUM_IMAGES_847)
    candidates = [f"{root}images/ADE/{_FOLDERS[split]}" for root in ("ADE20K_2021_17_01/", "")]
    images = find_folder(source, candidates, "the scene folders of the full ADE20K")
    folders, others = _scene_folders(images)
    if not folders:
        raise InputError(f"{images}: expected GROUP/SCENE/ADE_{split}_*.jpg with *_seg.png beside them, found none.")
    class_names, raw_ids = load_vocabulary("a-847").entries, load_raw_ids("a-847")
    index = images.parents[2] / INDEX_FILE
    checked = index.is_file()
    if checked:
        refuse_other_names(index, raw_ids, class_names)
    unchecked = f"{index} is not there: names and ids are those of the published table, not checked against it"
    return Ade20kFullSplit(
        name="a-847",
        split=split,
        class_names=class_names,
        sample_ids=tuple(sorted(folders)),
        expected_count=NUM_IMAGES_847[split],
        root=images,
        folders=folders,
        table=lookup_table(raw_ids, num_values=NUM_OBJECTS + 1, ignored=range(NUM_OBJECTS + 1)),
        notes=(*(() if checked else (unchecked,)), *left_out(images, others)),
    )


def _scene_folders(root: Path) -> tuple[dict[str, str], list[str]]:
    """For each image id below `root`, the path of its folder; and the files that are no part of the publication. The
    folder of instance masks beside each image is not entered: there are as many as images, with dozens of files each.
    """
    folders: dict[str, str] = {}
    others: list[str] = []
    for path, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith("ADE_")]
        folder = os.path.relpath(path, root)
        for name in files:
            ending = next((ending for ending in _ENDINGS_847 if is_kind(name, ending)), None)
            if ending is not None:
                sample_id = name.removesuffix(ending)
                if folders.setdefault(sample_id, folder) != folder:
                    raise InputError(f"{root}: {sample_id} is in {folders[sample_id]} and in {folder}; keep one.")
            elif not _BESIDE_847.search(name):
                others.append(os.path.join(folder, name))
    return folders, others
