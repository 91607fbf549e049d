"""Where two label maps differ, as a picture for people.

Axes: H x W pixels.
"""

import numpy as np
from jaxtyping import Integer, UInt8

from logoseg.overlay import IGNORED, OPACITY
from ovlab.datasets.sample import IGNORE_INDEX

WRONG = (214, 40, 40)


def difference(
    image: UInt8[np.ndarray, "H W 3"], truth: Integer[np.ndarray, "H W"], prediction: Integer[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H W 3"]:
    """The photograph without its colours, red where the prediction is wrong and plain grey where it is not scored."""
    counted = truth != IGNORE_INDEX
    wrong = counted & (truth != prediction)
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    marked = np.where(wrong[..., None], (1 - OPACITY) * grey + OPACITY * np.array(WRONG), grey)
    return np.where(counted[..., None], marked, np.array(IGNORED)).astype(np.uint8)
