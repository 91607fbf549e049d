"""Photographs: read whole and checked, and made smaller where the protocol asks for it.

Every photograph of a data set is read here, of folders, original downloads and prepared shards, and those that the
model in MLflow is given; those of `predict` are read alike by logoseg/photo_pixels.py, which knows no data sets. They
become 8-bit RGB: grey is repeated, a palette looked up, CMYK converted by Pillow without a colour profile, an alpha
channel dropped; of 16 bits of colour the higher 8 are taken, and grey of more than 8 bits, of which Pillow makes white,
is refused.

Which way up is the one thing that differs. The loaders of the field (detectron2's read_image, OpenCV under
MMSegmentation) turn a photograph as its EXIF orientation says and never its label, which pairs the two wrongly wherever
the tag is not 1. Here a published data set, original or prepared, is read as stored, since its labels are drawn on
the stored pixels; a folder of one's own as its labels are; and `predict`, which has no label, as every viewer shows it.
A TIFF comes from Pillow turned already.

A-847 is scored at a short side of at most 512. The published preparation (MaskFormer) resizes with OpenCV, whose two
rules are restated here, because Pillow's own samplers differ from both: its bilinear widens its kernel when it
shrinks, and its nearest picks the pixel half a step further on.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8
from PIL import Image

from ovlab.datasets.picture_file import decoding, file_bytes
from ovlab.specs.errors import InputError

# What Pillow writes when it is not told otherwise; the published preparation does not tell it.
JPEG_QUALITY = 75

# As stored; as the EXIF orientation says; or as a label of that height and width: turned where only the turned
# photograph has its size, and in doubt not, as most tools draw labels on the stored pixels.
Orientation = Literal["stored", "upright"] | tuple[int, int]

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Photograph:
    """The bytes of an image file, and the RGB image that they are read as."""

    data: bytes
    image: Image.Image

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.height, self.image.width

    @property
    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        return np.asarray(self.image)


def read_photograph(path: Path, orientation: Orientation) -> Photograph:
    """The photograph in a file, decoded to the last pixel. Raises InputError that names the file."""
    return decode_photograph(file_bytes(path, "no such photograph; its label has no partner"), path, orientation)


def decode_photograph(data: bytes, name: Path | str, orientation: Orientation) -> Photograph:
    """The photograph in the bytes of a file, decoded to the last pixel. Raises InputError that begins with `name`."""
    with decoding(name, "photograph"):
        image = Image.open(io.BytesIO(data))
        image.load()
    if image.mode[:1] in ("I", "F"):
        raise InputError(
            f"{name}: photographs must have 8 bits a channel, this one is of mode {image.mode}; save it with 8."
        )
    upright = _oriented(image, name, orientation)
    with decoding(name, "photograph"):
        return Photograph(data, upright if upright.mode == "RGB" else upright.convert("RGB"))


def _oriented(image: Image.Image, name: Path | str, orientation: Orientation) -> Image.Image:
    if orientation in ("stored", (image.height, image.width)):
        return image
    with decoding(name, "EXIF data"):
        tag = image.getexif().get(_ORIENTATION_TAG, 1)
    if not isinstance(tag, int):
        raise InputError(f"{name}: its EXIF orientation is {tag!r:.40}, no number; save the file without it.")
    if tag not in _TURNS:
        return image
    turned = image.transpose(_TURNS[tag])
    return turned if orientation in ("upright", (turned.height, turned.width)) else image


def is_undecided(path: Path, shape: tuple[int, int]) -> bool:
    """Whether the photograph in a file says that it is to be turned, and has this height and width as stored and
    turned, so that the size of its label does not tell on which of the two it was drawn. Errors as `read_photograph`.
    """
    with decoding(path, "photograph"):
        image = Image.open(io.BytesIO(file_bytes(path, "no such photograph")))
        tag = image.getexif().get(_ORIENTATION_TAG, 1)
    stored = image.height, image.width
    return stored == shape and tag in _TURNS and (tag not in _SIDEWAYS or stored[0] == stored[1])


def encode_jpeg(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """JPEG bytes at JPEG_QUALITY with 4:2:0 chroma."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def limited_shape(shape: tuple[int, int], short_side: int) -> tuple[int, int]:
    """`shape` itself if its short side is at most `short_side`, else scaled, aspect kept, to have that short side."""
    height, width = shape
    if min(shape) <= short_side:
        return shape
    if width >= height:
        return short_side, round(width / height * short_side)
    return round(height / width * short_side), short_side


def resize_nearest(label: Shaped[np.ndarray, "H W"], shape: tuple[int, int]) -> Shaped[np.ndarray, "h w"]:
    """The pixel at floor(i * H / h), floor(j * W / w), as cv2.INTER_NEAREST."""
    rows, columns = (
        np.minimum(np.floor(np.arange(new) * (old / new)).astype(np.int64), old - 1)
        for old, new in zip(label.shape, shape, strict=True)
    )
    return label[rows[:, None], columns[None, :]]


def resize_bilinear(image: UInt8[np.ndarray, "H W 3"], shape: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """The mean of the four pixels around the pixel centre (i + 1/2) * H / h - 1/2, weighted by nearness, without a
    wider kernel when shrinking: cv2.INTER_LINEAR, and torch's interpolate with align_corners and antialias off."""
    low, high, weight = _taps(image.shape[0], shape[0])
    rows = _mix(image[low], image[high], weight[:, None, None])
    low, high, weight = _taps(image.shape[1], shape[1])
    return np.rint(_mix(rows[:, low], rows[:, high], weight[None, :, None])).astype(np.uint8)


def _taps(old: int, new: int) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """The two source pixels of each new pixel along one axis, and the weight of the second."""
    centre = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low = np.floor(centre).astype(np.int64)
    return low, np.minimum(low + 1, old - 1), (centre - low).astype(np.float32)


def _mix(
    first: Shaped[np.ndarray, "*n"], second: Shaped[np.ndarray, "*n"], weight: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "*n"]:
    return first * (1 - weight) + second * weight
