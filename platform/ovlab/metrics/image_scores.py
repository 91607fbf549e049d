"""How well a run did on each image alone: to find its best and its worst ones, not to be averaged into a figure.

Axes: I images, N classes.
"""

import numpy as np
from jaxtyping import Float64

from ovlab.metrics.per_image import PerImageCounts


def image_mious(counts: PerImageCounts) -> Float64[np.ndarray, "I"]:
    """The mean IoU over the classes in an image's ground truth; NaN for an image without any."""
    present = counts.gt > 0
    iou = np.divide(counts.hits, counts.union(), out=np.zeros(counts.hits.shape), where=present)
    num_present = present.sum(axis=1)
    return np.divide(iou.sum(axis=1), num_present, out=np.full(len(iou), np.nan), where=num_present > 0)


def best_and_worst(scores: Float64[np.ndarray, "I"], num: int) -> tuple[list[int], list[int]]:
    """The positions of the `num` largest and of the `num` smallest scores, the most extreme first; no image is in
    both, and none without a score in either."""
    order = np.argsort(scores, kind="stable")
    order = order[~np.isnan(scores[order])]
    num = min(num, len(order) // 2)
    return order[len(order) - num :][::-1].tolist(), order[:num].tolist()
