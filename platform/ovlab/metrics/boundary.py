"""Boundary IoU (Cheng et al., CVPR 2021): IoU among the pixels near a contour, which small and large regions share.

With d the trim width in pixels, the boundary of a class is those of its pixels that have within d rows and d columns a
pixel that is not of the class, or the outside of the image. This is what the authors' program leaves of a mask when it
takes away its erosion, d times by 3 x 3 with zeros around the image. Ignored pixels are not counted, and they make no
contour either: they belong to every class.

Axes: H x W pixels.
"""

import math

import numpy as np
from jaxtyping import Bool, Integer, UInt16

from ovlab.metrics.counting import IGNORE_INDEX, ClassCounts


def boundary_counts(
    prediction: Integer[np.ndarray, "H W"], label: Integer[np.ndarray, "H W"], share: float
) -> ClassCounts:
    """Count the pixels near a contour of one image, whose maps `sparse_counts` has accepted. `share`: of the diagonal
    that is the trim width."""
    prediction, label = prediction.astype(np.uint16), label.astype(np.uint16)
    counted, width = label != IGNORE_INDEX, trim_width(label.shape, share)
    gt_near, pred_near = (_near_contour(labels, counted, width) for labels in (label, prediction))
    both_near = gt_near & pred_near & (label == prediction)
    gt, pred, hits = (
        np.bincount(labels[near], minlength=IGNORE_INDEX)
        for labels, near in ((label, gt_near), (prediction, pred_near), (label, both_near))
    )
    there = np.flatnonzero(gt + pred)
    return ClassCounts(there.astype(np.uint16), hits[there], gt[there], pred[there])


def trim_width(size: tuple[int, ...], share: float) -> int:
    """In pixels, at least one, for an image of H x W."""
    return max(1, round(share * math.sqrt(size[0] ** 2 + size[1] ** 2)))


def _near_contour(
    labels: UInt16[np.ndarray, "H W"], counted: Bool[np.ndarray, "H W"], width: int
) -> Bool[np.ndarray, "H W"]:
    """The counted pixels whose window holds another class: where its largest and its smallest label differ."""
    from scipy.ndimage import maximum_filter, minimum_filter  # here, because few evaluations measure boundaries

    side = 2 * width + 1
    # The outside, IGNORE_INDEX in both, makes them differ. An ignored pixel does not: it is the least in one and the
    # most in the other.
    largest = maximum_filter(np.where(counted, labels, 0), side, mode="constant", cval=IGNORE_INDEX)
    smallest = minimum_filter(np.where(counted, labels, IGNORE_INDEX), side, mode="constant", cval=IGNORE_INDEX)
    return counted & (largest != smallest)
