"""Photographs and label maps as bytes.

A photograph stays as it came. A label map is a PNG: 8 bits a pixel with 255 for ignored pixels when there are at most
255 classes, else 16 bits with IGNORE_INDEX.
"""

import hashlib
import io

import numpy as np
from jaxtyping import Int64, UInt8, UInt16
from PIL import Image

from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError
from ovlab.specs.wording import one_line

MAX_CLASSES_8_BIT = 255
IGNORE_8_BIT = 255

# What Pillow raises on bytes that are no whole image: its own errors are all of these kinds.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def decode_image(content: bytes, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """An RGB photograph from its file's bytes. Grey, palette and CMYK images are converted.

    Raises InputError, starting with `name`, for a truncated or foreign file.
    """
    try:
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    except DECODING_ERRORS as error:
        raise InputError(f"{name}: the image cannot be decoded ({one_line(error)}). Fetch the file again.") from None


def image_size(content: bytes, name: str) -> tuple[int, int]:
    """Height and width in pixels as the file's header says, without decoding it. Raises InputError as above."""
    try:
        width, height = Image.open(io.BytesIO(content)).size
    except DECODING_ERRORS as error:
        raise InputError(f"{name}: the image cannot be decoded ({one_line(error)}). Fetch the file again.") from None
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
    """The inverse of `encode_label`. Raises InputError, starting with `name`, for a damaged PNG."""
    try:
        pixels = np.asarray(Image.open(io.BytesIO(content)))
    except DECODING_ERRORS as error:
        raise InputError(f"{name}: the label cannot be decoded ({one_line(error)}). Prepare the data again.") from None
    if pixels.dtype == np.uint8 and pixels.ndim == 2:
        return _TO_16_BIT[pixels]
    if pixels.dtype == np.uint16 and pixels.ndim == 2:
        return pixels
    raise InputError(f"{name}: the label is {pixels.dtype} with {pixels.ndim} axes, not an 8-bit or 16-bit map.")


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
