"""A set of photographs of one's own, in three kinds of files.

    classes.json                          the class names, and what is known of them: see class_list.py
    <split>/images/<stem>.jpg             or .jpeg or .png
    <split>/labels/<stem>.png             8 or 16 bits: the class index of every pixel; a palette's colours do not count

Opening compares names only; sizes and values are checked when a pair is read. Its identity follows from the bytes.

A photograph is turned as its EXIF orientation says only where the label has the size of the turned one (photograph.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt16
from PIL import Image

from ovlab.datasets.catalog import named_labels
from ovlab.datasets.class_list import ClassList, read_class_list
from ovlab.datasets.encoding import count_labels, image_size
from ovlab.datasets.label_map import MISSING_LABEL, read_index_map
from ovlab.datasets.label_pixels import LabelPixels, names_of
from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.manifest import names_digest
from ovlab.datasets.original import left_out
from ovlab.datasets.photograph import read_photograph
from ovlab.datasets.picture_file import file_bytes
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.files.content_digests import content_digests
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import SynonymRule
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.wording import is_unicode, percent

CLASS_LIST = "classes.json"
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_LABEL_SUFFIXES = (".png",)
_LAYOUT = "<split>/images/<stem>.jpg and <split>/labels/<stem>.png beside classes.json"

_log = logging.getLogger(__name__)


class _Pair(NamedTuple):
    image: Path
    label: Path


@dataclass(frozen=True)
class FolderDataset:
    """One split of a folder, in the order of the file names. Made by `open_folder`."""

    name: str
    classes: ClassList
    pairs: tuple[_Pair, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classes.names

    @property
    def seen(self) -> Bool[np.ndarray, "N"] | None:
        return self.label_space("first").seen

    @cached_property
    def digest(self) -> str:
        """Over names and the bytes of all files. Raises InputError for a file that cannot be read."""
        try:
            contents = content_digests([path for pair in self.pairs for path in pair])
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror}).") from None
        return fingerprint(
            {
                "kind": "folder",
                "sample_ids": names_digest(self.sample_ids),
                "class_names": names_digest(self.class_names),
                "ignore_index": self.classes.ignore_index,
                "contents": names_digest(contents),
            }
        )

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...] | None:
        """From the headers of the labels; None where one has none, of which reading it says more."""
        try:
            return tuple(image_size(file_bytes(pair.label, MISSING_LABEL), str(pair.label)) for pair in self.pairs)
        except InputError:
            return None

    def label_pixels(self) -> LabelPixels:
        """Reads every label. Raises InputError as for one of them, and where ignored pixels were meant for a class."""
        counts = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
        for index in range(len(self)):
            counts += count_labels(self.label(index))
        found = self.pixels_of(counts)
        self.refuse_swallowed(found)
        return found

    def pixels_of(self, counts: Int64[np.ndarray, "65536"]) -> LabelPixels:
        """What the counts of label values mean."""
        return LabelPixels(
            class_names=self.class_names,
            of_classes=tuple(counts[: len(self.class_names)].tolist()),
            num_ignored=int(counts[IGNORE_INDEX]),
        )

    def refuse_swallowed(self, found: LabelPixels) -> None:
        """Raises InputError where the ignored pixels seem meant for a class."""
        if self.classes.ignore_index is None and found.is_swallowed:
            share, place = percent(found.ignored_share), self.pairs[0].label.parent
            raise InputError(
                f"{place}: {share} % of the pixels hold the largest value (255, or 65535 of 16 bits) and are ignored, "
                f"while no pixel is {names_of(found.absent)}. Give each class its own index, or, if meant so, set "
                f'"ignore_index" in {CLASS_LIST}.'
            )

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        """What classes.json says; where that is names alone, and the folder is called like a benchmark, that one's."""
        if self.classes.is_plain:
            return named_labels(self.name, self.class_names, synonyms)
        return self.classes.label_space(synonyms)

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return tuple(pair.label.stem for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read and check one pair. Raises InputError that names the file for anything that is wrong with it."""
        pair = self.pairs[index]
        label = self.label(index)
        photograph = read_photograph(pair.image, (label.shape[0], label.shape[1]))
        if photograph.shape != label.shape:
            height, width = photograph.shape
            raise InputError(
                f"{pair.image}: the photograph is {width} x {height} (width x height), its label "
                f"{label.shape[1]} x {label.shape[0]}; they must be equal."
            )
        return Sample(pair.label.stem, photograph.pixels, label)

    def label(self, index: int) -> UInt16[np.ndarray, "H W"]:
        """The label of a pair without its photograph; errors as above."""
        path = self.pairs[index].label
        return _train_ids(read_index_map(path), self.classes.ignore_index, len(self.class_names), path)


def open_folder(root: Path, split: str) -> FolderDataset:
    """Open a split. Raises InputError for a folder, split, class list or partner file that is missing. What lies beside
    the pairs is counted and named in a warning; hidden files are not."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give one that holds {_LAYOUT}.")
    if not is_unicode(str(root.resolve())):
        raise InputError(f"{str(root.resolve())!a} is a folder name in another encoding; rename it in UTF-8.")
    classes = read_class_list(root / CLASS_LIST)
    if not (root / split / "images").is_dir():
        found = sorted(path.parent.name for path in root.glob("*/images") if path.is_dir())
        raise InputError(f"{root}: no split {split!r}; found: {', '.join(found) or 'none'}. Expected {_LAYOUT}.")
    images = _by_stem(root / split / "images", _IMAGE_SUFFIXES)
    labels = _by_stem(root / split / "labels", _LABEL_SUFFIXES)
    if not images and not labels:
        raise InputError(f"{root / split}: the split is empty; expected {_LAYOUT}.")
    _refuse_unpaired(images, labels, "image", f"{root / split / 'labels'}/{{stem}}.png")
    _refuse_unpaired(labels, images, "label", f"{root / split / 'images'}/{{stem}}.jpg")
    pairs = tuple(_Pair(images[stem], labels[stem]) for stem in sorted(images))
    for note in left_out(root / split, _beside(root / split, {path for pair in pairs for path in pair})):
        _warn_once(note)
    return FolderDataset(root.resolve().name, classes, pairs)


def _beside(split: Path, pairs: set[Path]) -> list[str]:
    return [
        f"{kind}/{path.name}"
        for kind in ("images", "labels")
        for path in (split / kind).iterdir()
        if path not in pairs and not path.name.startswith(".")
    ]


@cache
def _warn_once(note: str) -> None:
    _log.warning(note)


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    others: list[Path] = []
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected {_LAYOUT}.")
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if not is_unicode(path.name):
            raise InputError(f"{folder}: {path.name!a} is a file name in another encoding; rename it in UTF-8.")
        if path.suffix.lower() in suffixes:
            if not path.is_file():  # a pipe would be waited for without end
                raise InputError(f"{path}: no file, but a folder, a pipe, a device or a broken link; replace it.")
            other = found.setdefault(path.stem, path)
            if other is not path:
                raise InputError(f"{path}: {other.name} has the same stem; keep one of the two.")
        elif path.suffix.lower() in Image.registered_extensions():
            others.append(path)
    alone = sorted(path for path in others if path.stem not in found)
    if alone:
        more = f" ({len(alone) - 1} more like it)" if len(alone) > 1 else ""
        raise InputError(f"{alone[0]}: files in {folder.name}/ must be {' or '.join(suffixes)}; convert it{more}.")
    return found


def _refuse_unpaired(these: dict[str, Path], others: dict[str, Path], kind: str, wanted: str) -> None:
    alone = sorted(these.keys() - others.keys())
    if alone:
        partner = wanted.format(stem=alone[0])
        more = f" ({len(alone) - 1} more like it)" if len(alone) > 1 else ""
        raise InputError(f"{these[alone[0]]}: this {kind} has no partner; add {partner} or remove it{more}.")


def _train_ids(
    stored: UInt8[np.ndarray, "H W"] | UInt16[np.ndarray, "H W"], ignore_index: int | None, num_classes: int, path: Path
) -> UInt16[np.ndarray, "H W"]:
    """The same indices with IGNORE_INDEX for the pixels that the file ignores."""
    ignored_value = np.iinfo(stored.dtype).max if ignore_index is None else ignore_index
    label = stored.astype(np.uint16)
    ignored = label == ignored_value
    wrong = (label >= num_classes) & ~ignored
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}: value {stored[row, column]} at row {row}, column {column} is no class; classes.json lists "
            f"{num_classes} (0 .. {num_classes - 1}), and {ignored_value} is ignored."
        )
    label[ignored] = IGNORE_INDEX
    return label
