"""Label files: the indices they hold, and the train ids those become.

A label is a PNG of 8 or 16 bits, or one with a palette, whose colours do not count. Grey of 1, 2 and 4 bits is refused:
Pillow stretches it to 0 .. 255 and calls it 8 bits, so that the values are no longer indices.

Every original has its own numbering and its own value for "not labelled". A lookup table turns both into train ids
0 .. N-1 and IGNORE_INDEX, and leaves no value undecided: one that the publication does not know is an error.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8, UInt16
from PIL import Image

from ovlab.datasets.picture_file import decoding, file_bytes
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError

# Marks, inside a table, a raw value that the publication does not know. No set has that many classes.
_UNKNOWN = IGNORE_INDEX - 1

# Where the header of every PNG says how many bits a channel has.
_BIT_DEPTH = 24

MISSING_LABEL = "no such label; its photograph has no partner"


def read_index_map(path: Path) -> UInt8[np.ndarray, "H W"] | UInt16[np.ndarray, "H W"]:
    """The indices in a grey or palette PNG. Raises InputError that names the file."""
    return decode_index_map(file_bytes(path, MISSING_LABEL), path)


def decode_index_map(content: bytes, name: Path | str) -> UInt8[np.ndarray, "H W"] | UInt16[np.ndarray, "H W"]:
    """The same of the bytes of a file. Raises InputError that begins with `name`."""
    pixels = _decode(content, name)
    if pixels.ndim != 2:
        raise InputError(
            f"{name}: the label has {pixels.shape[2]} channels; it must have one, which holds the class index of every "
            f"pixel, with 8 or 16 bits."
        )
    return pixels


def read_8_bit_map(path: Path) -> UInt8[np.ndarray, "H W"]:
    """The indices in a PNG of 8 bits. Raises InputError that names the file."""
    pixels = read_index_map(path)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: the label has 16 bits a pixel; in the published set it has 8.")
    return pixels


def read_colour_map(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """The colours of an RGB PNG. Raises InputError that names the file."""
    content = file_bytes(path, MISSING_LABEL)
    pixels = _decode(content, path)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or content[_BIT_DEPTH] != 8:
        raise InputError(f"{path}: this label must be an RGB PNG with 8 bits a channel; it is of another kind.")
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


def _decode(content: bytes, name: Path | str) -> Integer[np.ndarray, "..."]:
    """The pixels of a PNG of 8 or 16 bits a channel, or with a palette, as they are stored."""
    with decoding(name, "label"):
        image = Image.open(io.BytesIO(content))
        image.load()
        pixels = np.asarray(image)
    if image.format != "PNG":
        raise InputError(f"{name}: the label is a {image.format} file; labels must be PNG.")
    if image.mode != "P" and content[_BIT_DEPTH] < 8:
        raise InputError(f"{name}: the label has fewer than 8 bits a pixel; save it with 8 or 16.")
    return pixels
