"""Label files: the indices they hold, and the train ids those become.

Every original has its own numbering and its own value for "not labelled". A lookup table turns both into train ids
0 .. N-1 and IGNORE_INDEX, and leaves no value undecided: one that the publication does not know is an error.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8, UInt16
from PIL import Image, UnidentifiedImageError

from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

# Marks, inside a table, a raw value that the publication does not know. No set has that many classes.
_UNKNOWN = IGNORE_INDEX - 1


def read_index_map(path: Path) -> UInt8[np.ndarray, "H W"]:
    """The indices of an 8-bit grey or palette PNG. Raises InputError that names the file."""
    pixels, mode = _decode(path)
    if mode not in ("L", "P"):
        raise InputError(f"{path}: a label must be an 8-bit grey or palette PNG, got mode {mode}.")
    return pixels


def read_colour_map(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """The colours of an RGB PNG. Raises InputError that names the file."""
    pixels, mode = _decode(path)
    if mode != "RGB":
        raise InputError(f"{path}: this label must be an RGB PNG, got mode {mode}.")
    return pixels


def lookup_table(
    raw_ids: Sequence[int], *, num_values: int, ignored: Iterable[int], background: int | None = None
) -> UInt16[np.ndarray, "V"]:
    """The train id of each raw value 0 .. num_values-1: raw_ids[n] becomes n, the values in `ignored` IGNORE_INDEX,
    the raw value `background` the train id after the last, and the others are unknown to `to_train_ids`. The last
    entry, V = num_values + 1, stands for every value beyond."""
    table = np.full(num_values + 1, _UNKNOWN, dtype=np.uint16)
    table[list(ignored)] = IGNORE_INDEX
    table[list(raw_ids)] = np.arange(len(raw_ids), dtype=np.uint16)
    if background is not None:
        table[background] = len(raw_ids)
    return table


def to_train_ids(
    raw: Integer[np.ndarray, "H W"], table: UInt16[np.ndarray, "V"], source: Path | str
) -> UInt16[np.ndarray, "H W"]:
    """`raw` seen through `table`. Raises InputError that names `source` and the values that the table does not know."""
    # A negative value becomes a large one.
    label = table[np.minimum(raw.astype(np.uint32), len(table) - 1)]
    unknown = label == _UNKNOWN
    if unknown.any():
        shown = ", ".join(str(value) for value in np.unique(raw[unknown])[:8])
        raise InputError(f"{source}: label value(s) {shown} are not in the published list of classes.")
    return label


def refuse_other_size(
    label_shape: tuple[int, ...], source: Path | str, image_shape: tuple[int, int], image_path: Path
) -> None:
    """Raises InputError unless the label covers the photograph pixel by pixel."""
    if tuple(label_shape[:2]) != tuple(image_shape):
        label, image = (f"{shape[1]} x {shape[0]}" for shape in (label_shape, image_shape))
        raise InputError(f"{source}: the label is {label}, its photograph {image_path.name} is {image}.")


def _decode(path: Path) -> tuple[np.ndarray, str]:
    try:
        with Image.open(path) as image:
            return np.array(image), image.mode
    except FileNotFoundError:
        raise InputError(f"{path}: no such label; its photograph has no partner.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: the label cannot be decoded ({error}).") from None
