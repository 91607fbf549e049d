"""What a reader of an original download offers, and the split that is two folders of files with equal stems.

A reader turns the files as their authors publish them into photographs and label maps as the protocol wants them.
Opening a split lists its files; everything that concerns one file is found out when that file is read, so that one
bad file among a hundred thousand can be named, skipped and listed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8, UInt16

from ovlab.datasets.label_map import read_8_bit_map, refuse_other_size, to_train_ids
from ovlab.datasets.photograph import read_photograph
from ovlab.specs.errors import InputError
from ovlab.specs.wording import first_names, is_unicode, thousands


@dataclass(frozen=True, slots=True)
class OriginalPair:
    """One photograph and its label as the protocol wants them.

    image_bytes: the file as downloaded, or JPEG encoded anew, only where the protocol resizes (A-847).
    label: uint16, height x width, 0 .. N-1 or IGNORE_INDEX (65535).
    """

    id: str
    image_bytes: bytes
    label: UInt16[np.ndarray, "H W"]


@runtime_checkable
class OriginalSplit(Protocol):
    """A split of an original download. It can be pickled, so that processes can read parts of it side by side.

    class_names: the N names that the label values mean. sample_ids: sorted, unique; an image without its label, or a
    label without its image, has an id too. expected_count: how many the published split holds. notes: what a person
    should know about this opening, one line each.
    """

    @property
    def name(self) -> str: ...

    @property
    def split(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def sample_ids(self) -> tuple[str, ...]: ...

    @property
    def expected_count(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def read(self, sample_id: str) -> OriginalPair:
        """Raises InputError, one line that names the file, for anything wrong with this pair."""
        ...


def accept_any(raw: UInt8[np.ndarray, "H W"], path: Path) -> None:
    """The check of a set that has no archive to be confused with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderSplit:
    """A split whose photographs are image_folder/ID.jpg, or of another suffix, and whose labels are
    label_folder/ID.png, 8-bit indices.

    table: the train id of every raw value, from `label_map.lookup_table`. check: looks at the raw label map first
    and raises InputError where it is one of another archive.
    """

    name: str
    split: str
    class_names: tuple[str, ...]
    sample_ids: tuple[str, ...]
    expected_count: int
    image_folder: Path
    label_folder: Path
    table: UInt16[np.ndarray, "V"]
    check: Callable[[UInt8[np.ndarray, "H W"], Path], None] = accept_any
    notes: tuple[str, ...] = ()
    image_suffix: str = ".jpg"

    def read(self, sample_id: str) -> OriginalPair:
        image_path = self.image_folder / f"{sample_id}{self.image_suffix}"
        label_path = self.label_folder / f"{sample_id}.png"
        photograph = read_photograph(image_path, "stored")
        raw = read_8_bit_map(label_path)
        self.check(raw, label_path)
        refuse_other_size(raw.shape, label_path, photograph.shape, image_path)
        return OriginalPair(sample_id, photograph.data, to_train_ids(raw, self.table, label_path))


def refuse_other_split(name: str, split: str, counts: Iterable[str]) -> None:
    """Raises InputError unless `split` is one of the splits that `name` has."""
    if split not in counts:
        raise InputError(f"{name} has the split(s) {', '.join(counts)}; got '{split}'.")


def find_folder(source: Path, candidates: Sequence[str], what: str, suffix: str = "") -> Path:
    """The first of `candidates`, paths below `source`, that is a folder and holds a file that ends in `suffix`.

    Raises InputError that says which folders were expected and what lies in `source` instead.
    """
    for candidate in candidates:
        folder = source / candidate
        if folder.is_dir() and any(is_kind(entry.name, suffix) for entry in folder.iterdir()):
            return folder
    expected = " or ".join(f"{candidate}/" for candidate in candidates)
    raise InputError(f"{source}: expected {what} in {expected}, found {_contents(source)}.")


def find_file(source: Path, candidates: Sequence[str], what: str) -> Path:
    """The first of `candidates`, paths below `source`, that is a file; InputError as for `find_folder`."""
    for candidate in candidates:
        if (source / candidate).is_file():
            return source / candidate
    raise InputError(f"{source}: expected {what} at {' or '.join(candidates)}, found {_contents(source)}.")


def lines_of(path: Path) -> list[str]:
    """The lines of a text file that hold anything, without white space around. Raises InputError for other files."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: no text in UTF-8; replace the file.") from None
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def listed_ids(path: Path) -> tuple[str, ...]:
    """The ids that a file lists, one a line, sorted. Raises InputError for a file that is none, or lists nothing."""
    ids = tuple(sorted(set(lines_of(path))))
    if not ids:
        raise InputError(f"{path}: lists no image; replace the file.")
    return ids


def is_kind(name: str, suffix: str) -> bool:
    """Whether a file of this name is one of those that end in `suffix`. macOS leaves a ._NAME beside each file on a
    disk of another kind, which is none of them."""
    return name.endswith(suffix) and not name.startswith(".")


def stems(folder: Path, suffix: str) -> set[str]:
    """The names of the files of `folder` that end in `suffix`, without it."""
    return {entry.name.removesuffix(suffix) for entry in folder.iterdir() if is_kind(entry.name, suffix)}


class Listing(NamedTuple):
    """The ids of a split, sorted, and a note on the files that are none of its photographs and labels, if any are."""

    sample_ids: tuple[str, ...]
    notes: tuple[str, ...]


def list_pairs(
    images: Path, labels: Path, is_id: Callable[[str], bool] = lambda stem: True, *, image_suffix: str = ".jpg"
) -> Listing:
    """What lies as images/ID.jpg, or of another suffix, and labels/ID.png, which may be one folder."""
    ids = sorted(stem for stem in stems(images, image_suffix) | stems(labels, ".png") if is_id(stem))
    broken = next((stem for stem in ids if not is_unicode(stem)), None)
    if broken is not None:
        raise InputError(f"{images}: {broken!a} is a file name in another encoding; rename it in UTF-8.")
    kinds = {images: [image_suffix]}
    kinds.setdefault(labels, []).append(".png")
    others: list[str] = []
    for folder, suffixes in kinds.items():
        used = {sample_id + suffix for sample_id in ids for suffix in suffixes}
        others += [f"{folder.name}/{entry.name}" for entry in folder.iterdir() if entry.name not in used]
    return Listing(tuple(ids), left_out(images, others))


def left_out(place: Path, names: Iterable[str]) -> tuple[str, ...]:
    """The note that counts and names what lies in `place` or beside it and is not read; none where there is nothing."""
    others = sorted(names)
    if not others:
        return ()
    files = "1 file is" if len(others) == 1 else f"{thousands(len(others))} files are"
    return (f"{place}: {files} left out, neither photograph nor label of the split: {first_names(others)}",)


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    return first_names(names, most=6) if names else "an empty folder"
