"""The colour jitter of SSD (Liu et al. 2016, section 2.2) on 8-bit RGB.

Brightness first, then contrast, saturation and hue, or saturation, hue and contrast; each on half of the images.
Brightness and contrast are tables of 256 levels. Saturation scales a pixel's chroma C = max - min, hue turns it around
the colour circle, both as in HSV, whose value V = max stays:

    C' = min(V, C * saturation),    channel n = V - C' * clip(min(k, 4 - k), 0, 1),    k = (n + hue) mod 6

with hue in sixths of a turn and n = 5, 3, 1 for red, green, blue.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float64, UInt8
from numba import njit

from ovlab.specs.augmentation import AugmentationSpec

_LEVELS = np.arange(256, dtype=np.float64)


class ColourDraws(NamedTuple):
    """Uniform numbers in [0, 1). Below 1/2 a change is left out; `contrast_last` chooses between the two orders."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    contrast_last: float


def jitter_colours(
    image: UInt8[np.ndarray, "H W 3"], spec: AugmentationSpec, draws: ColourDraws
) -> UInt8[np.ndarray, "H W 3"]:
    """`image` with the changes that `draws` choose, as strong as `spec` allows; values are cut to 0 .. 255."""
    brighter = _cut(_LEVELS + 255 * spec.brightness * _amount(draws.brightness))
    contrast = 1 + spec.contrast * _amount(draws.contrast)
    before, after = brighter, _cut(_LEVELS * contrast)
    if draws.contrast_last < 0.5:
        before, after = _cut(brighter * contrast), _LEVELS
    saturation, hue = 1 + spec.saturation * _amount(draws.saturation), 6 * spec.hue * _amount(draws.hue)
    if saturation == 1 and hue == 0:
        table = np.rint(np.interp(before, _LEVELS, after)).astype(np.uint8)
        return image if np.array_equal(table, _LEVELS) else table[image]
    return _jitter(
        np.ascontiguousarray(image),
        before.astype(np.float32),
        np.float32(saturation),
        np.float32(hue),
        np.rint(after).astype(np.uint8),
    )


def _amount(draw: float) -> float:
    """0 for the lower half of the draws, and -1 .. 1 over the upper half."""
    return 4 * draw - 3 if draw >= 0.5 else 0.0


def _cut(levels: Float64[np.ndarray, "256"]) -> Float64[np.ndarray, "256"]:
    return np.clip(levels, 0, 255)


@njit(nogil=True, cache=True)
@no_type_check
def _jitter(image, before, saturation, hue, after):
    """Every pixel through `before`, the two changes of the formula above, and, rounded, through `after`.

    float32, and comparisons for min, max and mod: Numba's own keep Python's rules for NaN and signs, at five times
    the time.
    """
    one, two, four, half_way, six = np.float32(1), np.float32(2), np.float32(4), np.float32(0.5), np.float32(6)
    pixels = image.reshape(-1, 3)
    result = np.empty_like(pixels)
    for index in range(pixels.shape[0]):
        red, green, blue = before[pixels[index, 0]], before[pixels[index, 1]], before[pixels[index, 2]]
        value = red if red > green else green
        value = blue if blue > value else value
        lowest = red if red < green else green
        lowest = blue if blue < lowest else lowest
        chroma = value - lowest
        turned = hue
        if chroma == 0:
            pass
        elif value == red:
            turned += (green - blue) / chroma
        elif value == green:
            turned += (blue - red) / chroma + two
        else:
            turned += (red - green) / chroma + four
        turned += six if turned < 0 else np.float32(0)
        chroma *= saturation
        chroma = value if chroma > value else chroma
        for channel in range(3):
            place = np.float32(5 - 2 * channel) + turned
            while place >= six:
                place -= six
            share = four - place
            share = place if place < share else share
            share = one if share > one else share
            share = np.float32(0) if share < 0 else share
            result[index, channel] = after[np.uint8(value - chroma * share + half_way)]
    return result.reshape(image.shape)
