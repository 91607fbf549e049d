"""Training augmentation whose random numbers are a function of (seed, index) and of nothing else.

The order of reading, the number of workers and what was drawn before do not matter: a counter-based generator (Philox,
Salmon et al. 2011) is keyed with the two numbers, and all draws are taken at once, whichever of them are used. So
switching the colours off does not move the crop.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from ovlab.datasets.colour_jitter import ColourDraws, jitter_colours
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError

# Of the padding beside a photograph that is smaller than the crop: the middle of the range, as in CAT-Seg.
_GREY = 128


class _Window(NamedTuple):
    """The part of a photograph that becomes `height` x `width` pixels at the top left of the crop; the floats are in
    pixels of the photograph."""

    top: float
    left: float
    bottom: float
    right: float
    height: int
    width: int


def augment(sample: Sample, spec: AugmentationSpec, *, seed: int, index: int) -> Sample:
    """The crop of `spec` number `index` of a run with `seed`; a photograph seen again needs another index.

    The image is resized bilinearly (with Pillow's wider kernel when shrinking), the label takes the nearest pixel.
    Raises InputError for a seed or an index outside 0 .. 2**64 - 1.
    """
    if not (0 <= seed < 2**64 and 0 <= index < 2**64):
        raise InputError(f"seed and index must be in 0 .. 2**64 - 1, got {seed} and {index}.")
    draws = np.random.Generator(np.random.Philox(key=[seed, index])).random(9).tolist()
    scale, down, right, mirror, *colours = draws
    low, high = spec.scale_range
    window = _window(sample.label.shape, spec.crop_shape, low + scale * (high - low), down, right)
    mirrored = mirror < spec.flip_probability
    image, label = _cut_image(sample.image, window, mirrored), _cut_label(sample.label, window, mirrored)
    image = jitter_colours(image, spec, ColourDraws(*colours))
    image, label = _pad(image, spec.crop_shape, _GREY), _pad(label, spec.crop_shape, IGNORE_INDEX)
    return Sample(sample.id, image, label)


def _window(shape: tuple[int, int], crop: tuple[int, int], scale: float, down: float, right: float) -> _Window:
    """Resize `shape` to `scale` times what covers `crop`, and place the crop in it; down and right are in [0, 1)."""
    factor = scale * max(crop[0] / shape[0], crop[1] / shape[1])
    height, width = max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    kept_height, kept_width = min(crop[0], height), min(crop[1], width)
    top, left = int(down * (height - kept_height + 1)), int(right * (width - kept_width + 1))
    return _Window(
        top=top * shape[0] / height,
        left=left * shape[1] / width,
        bottom=(top + kept_height) * shape[0] / height,
        right=(left + kept_width) * shape[1] / width,
        height=kept_height,
        width=kept_width,
    )


def _cut_image(image: UInt8[np.ndarray, "H W 3"], window: _Window, mirrored: bool) -> UInt8[np.ndarray, "h w 3"]:
    box = (window.left, window.top, window.right, window.bottom)
    size = (window.width, window.height)
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=box)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(picture)


def _cut_label(label: UInt16[np.ndarray, "H W"], window: _Window, mirrored: bool) -> UInt16[np.ndarray, "h w"]:
    rows = _nearest(window.top, window.bottom, window.height, label.shape[0])
    columns = _nearest(window.left, window.right, window.width, label.shape[1])
    return label[rows].take(columns[::-1] if mirrored else columns, axis=1)


def _nearest(start: float, end: float, num_pixels: int, length: int) -> np.ndarray:
    """The source pixel that holds the centre of each of `num_pixels` pixels between `start` and `end`."""
    centres = start + (np.arange(num_pixels) + 0.5) * ((end - start) / num_pixels)
    return np.clip(np.floor(centres).astype(np.int64), 0, length - 1)


def _pad(pixels: np.ndarray, crop: tuple[int, int], value: int) -> np.ndarray:
    """`pixels` at the top left of a crop that is `value` elsewhere."""
    height, width = pixels.shape[:2]
    if (height, width) == crop:
        return pixels
    padded = np.full((*crop, *pixels.shape[2:]), value, dtype=pixels.dtype)
    padded[:height, :width] = pixels
    return padded
