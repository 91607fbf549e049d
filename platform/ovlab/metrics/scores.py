"""The scores of many sets of images at once, from sums over their classes: one set, its resamples, its subsets.

The same definitions as in confusion.py, for each of B sets. The float64 of pixels and classes holds whole numbers.

Absent classes: a class without ground truth in a resample is left out of its mean, as it is left out of the mean of
a data set that lacks it. So the mean over a resample is over those classes of the full set that the resample has.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

Scores = dict[str, Float64[np.ndarray, "B"]]


class ClassSums(NamedTuple):
    """Sums over classes. iou and accuracy: of the present classes, those with ground truth; num_found: classes in
    either map; weighted_iou: of IoU times the pixels of the ground truth; hits, gt, hallucinated: pixels."""

    iou: Float64[np.ndarray, "B"]
    accuracy: Float64[np.ndarray, "B"]
    weighted_iou: Float64[np.ndarray, "B"]
    num_present: Float64[np.ndarray, "B"]
    num_found: Float64[np.ndarray, "B"]
    hits: Float64[np.ndarray, "B"]
    gt: Float64[np.ndarray, "B"]
    hallucinated: Float64[np.ndarray, "B"]
    seen_iou: Float64[np.ndarray, "B"]
    num_seen_present: Float64[np.ndarray, "B"]
    unseen_iou: Float64[np.ndarray, "B"]
    num_unseen_present: Float64[np.ndarray, "B"]


def scores_of(sums: ClassSums) -> Scores:
    """The scores of `ovlab.metrics.summary` under the same names; NaN where there is nothing to average."""
    seen = _ratio(sums.seen_iou, sums.num_seen_present)
    unseen = _ratio(sums.unseen_iou, sums.num_unseen_present)
    both = seen + unseen
    return {
        "miou": _ratio(sums.iou, sums.num_present),
        "legacy_miou": _ratio(sums.iou, sums.num_found),
        "fwiou": _ratio(sums.weighted_iou, sums.gt),
        "pixel_accuracy": _ratio(sums.hits, sums.gt),
        "mean_accuracy": _ratio(sums.accuracy, sums.num_present),
        "hallucination_rate": _ratio(sums.hallucinated, sums.gt),
        "seen_miou": seen,
        "unseen_miou": unseen,
        "harmonic_miou": np.where(both == 0, 0.0, _ratio(2 * seen * unseen, both)),
    }


def _ratio(part: Float64[np.ndarray, "B"], whole: Float64[np.ndarray, "B"]) -> Float64[np.ndarray, "B"]:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
