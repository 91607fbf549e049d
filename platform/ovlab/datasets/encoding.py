"""Photographs and label maps as bytes.

A photograph stays as it came. A label map is a PNG: 8 bits a pixel with 255 for ignored pixels when there are at most
255 classes, else 16 bits with IGNORE_INDEX.
"""

import hashlib
import io

import numpy as np
from jaxtyping import Int64, UInt16
from PIL import Image

from ovlab.datasets.label_map import decode_index_map
from ovlab.datasets.picture_file import decoding
from ovlab.datasets.sample import IGNORE_INDEX

MAX_CLASSES_8_BIT = 255
IGNORE_8_BIT = 255


def image_size(content: bytes, name: str) -> tuple[int, int]:
    """Height and width in pixels as the file's header says, without decoding it. Raises InputError that begins with
    `name` for a foreign file."""
    with decoding(name, "picture"):
        width, height = Image.open(io.BytesIO(content)).size
    return height, width


def encode_label(label: UInt16[np.ndarray, "H W"], num_classes: int) -> bytes:
    """The PNG of a label map whose values are below `num_classes` or IGNORE_INDEX."""
    pixels = label
    if num_classes <= MAX_CLASSES_8_BIT:
        pixels = np.where(label == IGNORE_INDEX, IGNORE_8_BIT, label).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def decode_label(content: bytes, name: str) -> UInt16[np.ndarray, "H W"]:
    """The inverse of `encode_label`. Raises InputError, beginning with `name`, for a PNG that holds something else."""
    pixels = decode_index_map(content, name)
    return _TO_16_BIT[pixels] if pixels.dtype == np.uint8 else pixels


def count_labels(label: UInt16[np.ndarray, "H W"]) -> Int64[np.ndarray, "65536"]:
    """How many pixels have each of the 65,536 values; the last one is IGNORE_INDEX."""
    return np.bincount(label.ravel(), minlength=IGNORE_INDEX + 1)


def sample_digest(image: bytes, label: UInt16[np.ndarray, "H W"]) -> str:
    """sha256 of a photograph's bytes and its label's pixels: the same however the sample is packed or compressed."""
    digest = hashlib.sha256(len(image).to_bytes(8, "little"))
    digest.update(image)
    digest.update(np.asarray(label.shape, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(label, dtype="<u2").data)
    return digest.hexdigest()


_TO_16_BIT = np.arange(256, dtype=np.uint16)
_TO_16_BIT[IGNORE_8_BIT] = IGNORE_INDEX
