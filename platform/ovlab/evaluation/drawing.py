"""Label maps as pictures for people: the photograph under the colours of its classes, and where two maps differ.

Axes: H x W pixels.
"""

import colorsys

import numpy as np
from jaxtyping import Integer, UInt8

from ovlab.datasets.sample import IGNORE_INDEX

# How much of a painted pixel is the class colour; the rest is the photograph.
OPACITY = 0.55
IGNORED = (128, 128, 128)
WRONG = (214, 40, 40)

_GOLDEN_ANGLE = 0.381966


def palette(num_classes: int) -> UInt8[np.ndarray, "N 3"]:
    """Distinct colours: hues a golden angle apart, in three shades."""
    shades = ((0.75, 0.95), (0.95, 0.70), (0.45, 1.00))
    colours = [colorsys.hsv_to_rgb(n * _GOLDEN_ANGLE % 1, *shades[n % len(shades)]) for n in range(num_classes)]
    return np.rint(255 * np.array(colours)).astype(np.uint8)


def painted(
    image: UInt8[np.ndarray, "H W 3"], labels: Integer[np.ndarray, "H W"], num_classes: int
) -> UInt8[np.ndarray, "H W 3"]:
    """The photograph under the colours of `palette`; what is ignored is grey."""
    ignored = labels == IGNORE_INDEX
    colours = palette(num_classes)[np.where(ignored, 0, labels)]
    mixed = (1 - OPACITY) * image + OPACITY * colours
    return np.where(ignored[..., None], np.array(IGNORED), mixed).astype(np.uint8)


def difference(
    image: UInt8[np.ndarray, "H W 3"], truth: Integer[np.ndarray, "H W"], prediction: Integer[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H W 3"]:
    """The photograph without its colours, red where the prediction is wrong and plain grey where it is not scored."""
    counted = truth != IGNORE_INDEX
    wrong = counted & (truth != prediction)
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    marked = np.where(wrong[..., None], (1 - OPACITY) * grey + OPACITY * np.array(WRONG), grey)
    return np.where(counted[..., None], marked, np.array(IGNORED)).astype(np.uint8)
