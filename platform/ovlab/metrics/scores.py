"""The scores of many sets of images at once, from the sums of their counts: one set, its resamples, its subsets.

The same definitions as in confusion.py, a column for each of B sets. The float64 of the sums holds whole numbers.

Absent classes: a class without ground truth in a resample is left out of its mean, as it is left out of the mean of
a data set that lacks it. So the mean over a resample is over those classes of the full set that the resample has.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

Scores = dict[str, Float64[np.ndarray, "B"]]


class Totals(NamedTuple):
    """Pixels of each class: right, in either map, in the ground truth; and the hallucinated pixels of all."""

    hits: Float64[np.ndarray, "N B"]
    union: Float64[np.ndarray, "N B"]
    gt: Float64[np.ndarray, "N B"]
    hallucinated: Float64[np.ndarray, "B"]


def scores_of(totals: Totals, seen: Bool[np.ndarray, "N"] | None = None) -> Scores:
    """The scores of `ovlab.metrics.summary` under the same names; NaN where there is nothing to average."""
    present = (totals.gt > 0).astype(np.float64)
    iou = _ratio(totals.hits, totals.union, empty=0.0)  # 0 also where the class is only predicted, or in neither map
    num_pixels = totals.gt.sum(axis=0)
    sum_iou, num_present = iou.sum(axis=0), present.sum(axis=0)
    scores = {
        "miou": _ratio(sum_iou, num_present),
        "legacy_miou": _ratio(sum_iou, np.count_nonzero(totals.union, axis=0).astype(np.float64)),
        "fwiou": _ratio((iou * totals.gt).sum(axis=0), num_pixels),
        "pixel_accuracy": _ratio(totals.hits.sum(axis=0), num_pixels),
        "mean_accuracy": _ratio(_ratio(totals.hits, totals.gt, empty=0.0).sum(axis=0), num_present),
        "hallucination_rate": _ratio(totals.hallucinated, num_pixels),
    }
    if seen is None:
        return scores
    of_seen = seen[:, None]
    seen_miou = _ratio((iou * of_seen).sum(axis=0), (present * of_seen).sum(axis=0))
    unseen_miou = _ratio((iou * ~of_seen).sum(axis=0), (present * ~of_seen).sum(axis=0))
    both = seen_miou + unseen_miou
    harmonic = np.where(both == 0, 0.0, _ratio(2 * seen_miou * unseen_miou, both))
    return scores | {"seen_miou": seen_miou, "unseen_miou": unseen_miou, "harmonic_miou": harmonic}


def _ratio(
    part: Float64[np.ndarray, "*B"], whole: Float64[np.ndarray, "*B"], empty: float = np.nan
) -> Float64[np.ndarray, "*B"]:
    return np.divide(part, whole, out=np.full(whole.shape, empty), where=whole > 0)
