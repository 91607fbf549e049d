"""Photographs: read whole and checked, and made smaller where the protocol asks for it.

A-847 is scored at a short side of at most 512. The published preparation (MaskFormer) resizes with OpenCV, whose two
rules are restated here, because Pillow's own samplers differ from both: its bilinear widens its kernel when it
shrinks, and its nearest picks the pixel half a step further on.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8
from PIL import Image, UnidentifiedImageError

from ovlab.specs.errors import InputError

# What Pillow writes when it is not told otherwise; the published preparation does not tell it.
JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True)
class Photograph:
    """The bytes of an image file, and the image they are known to decode to."""

    data: bytes
    image: Image.Image

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.height, self.image.width

    @property
    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """The colours, also of a grey photograph."""
        return np.asarray(self.image.convert("RGB"))


def read_photograph(path: Path) -> Photograph:
    """The bytes of an image file, decoded to the last pixel. Raises InputError that names the file.

    EXIF orientation is not applied: the label maps are drawn on the stored pixels.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such photograph; its label has no partner.") from None
    except OSError as error:
        raise InputError(f"{path}: the photograph cannot be read ({error.strerror}).") from None
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{path}: the photograph cannot be decoded ({reason}).") from None
    return Photograph(data, image)


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
