"""A photograph, however it is given, as the pixels that a model is shown: RGB of 8 bits, the way up that viewers show.

Grey is repeated, a palette looked up, an alpha channel dropped; of 16 bits of colour the higher 8 are taken. Grey of
more than 8 bits, of which Pillow makes white, is refused.

Axes: H x W pixels.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from logoseg.model_error import ModelError
from logoseg.weights_file import first_line

Photo = Image.Image | np.ndarray | bytes | str | os.PathLike[str]


def pixels_of(photo: Photo) -> UInt8[np.ndarray, "H W 3"]:
    """`photo`: an image of Pillow, an array of H x W or H x W x 3 of uint8, the path of a file, or its content.
    Raises ModelError, which names the file, for what is none of these."""
    if isinstance(photo, np.ndarray):
        return _of_array(photo)
    if isinstance(photo, Image.Image):
        return _of_image(photo, "the image")
    if isinstance(photo, bytes):
        return _of_file(photo, "the image")
    path = Path(photo)
    if not path.is_file():
        raise ModelError(f"{path}: {'not a file' if path.exists() else 'no such file'}; give a photograph.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from None
    return _of_file(content, str(path))


def _of_array(array: np.ndarray) -> UInt8[np.ndarray, "H W 3"]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise ModelError(
            f"An array must be H x W x 3 or H x W of uint8, got {array.dtype} of {array.shape}; give RGB of 0 .. 255."
        )
    return np.ascontiguousarray(array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2))


def _of_file(content: bytes, name: str) -> UInt8[np.ndarray, "H W 3"]:
    with _decoding(name):
        image = Image.open(io.BytesIO(content))
        image.load()
    return _of_image(image, name)


def _of_image(image: Image.Image, name: str) -> UInt8[np.ndarray, "H W 3"]:
    if image.mode[:1] in ("I", "F"):
        raise ModelError(
            f"{name}: a photograph has 8 bits a channel, this one is of mode {image.mode}; save it with 8."
        )
    with _decoding(name):
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if not isinstance(orientation, int):
        raise ModelError(f"{name}: its EXIF orientation is {orientation!r:.40}, no number; save the file without it.")
    with _decoding(name):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Around calls of Pillow alone: a damaged file makes it raise nearly anything, from struct.error to MemoryError."""
    try:
        yield
    except UnidentifiedImageError:
        raise ModelError(f"{name}: the photograph cannot be decoded (not an image); replace the file.") from None
    except Exception as error:
        raise ModelError(f"{name}: the photograph cannot be decoded ({first_line(error)}); replace the file.") from None
