"""How well a run did on each image alone: to find its best and its worst ones, not to be averaged into a figure.

Axes: I images.
"""

import numpy as np
from jaxtyping import Float64

from ovlab.metrics.class_totals import scores_of
from ovlab.metrics.per_image import PerImageCounts


def image_scores(counts: PerImageCounts, name: str = "miou") -> Float64[np.ndarray, "I"]:
    """The score of each image, over the classes that it has; NaN for an image without any."""
    return scores_of(counts.of_images(), [name])[name]


def best_and_worst(scores: Float64[np.ndarray, "I"], num: int) -> tuple[list[int], list[int]]:
    """The positions of the `num` largest and of the `num` smallest scores, the most extreme first; no image is in
    both, and none without a score in either."""
    order = np.argsort(scores, kind="stable")
    order = order[~np.isnan(scores[order])]
    num = min(num, len(order) // 2)
    return order[len(order) - num :][::-1].tolist(), order[:num].tolist()
