"""The geometry of a bilinear resize: which two sources each pixel of an axis mixes, and how much of each.

That of F.interpolate(mode="bilinear", align_corners=False, antialias=False), for growing and for shrinking sizes: pixel
i lies at (i + 1/2) * sources / pixels - 1/2, clamped to the first and the last source.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Taps(NamedTuple):
    """Pixel i of an axis is lower_weight[i] * source[lower[i]] + upper_weight[i] * source[upper[i]]."""

    lower: Int[np.ndarray, " pixels"]
    upper: Int[np.ndarray, " pixels"]
    lower_weight: Float[np.ndarray, " pixels"]
    upper_weight: Float[np.ndarray, " pixels"]


def bilinear_taps(num_sources: int, num_pixels: int, dtype: np.dtype[Any]) -> Taps:
    """The taps as torch computes them for scores of `dtype`.

    For float32, torch takes a float32 scale and rounds each position once (a fused multiply-add); float64 arithmetic
    rounded at the end gives the same bits.
    """
    scale = np.float64(dtype.type(num_sources) / dtype.type(num_pixels))
    position = (scale * (np.arange(num_pixels) + 0.5) - 0.5).astype(dtype).clip(min=0)
    lower = np.minimum(position.astype(np.int64), num_sources - 1)
    upper_weight = (position - lower).clip(max=1).astype(dtype)
    return Taps(
        lower=lower,
        upper=np.minimum(lower + 1, num_sources - 1),
        lower_weight=1 - upper_weight,
        upper_weight=upper_weight,
    )
