"""The loops of the image bootstrap, compiled: counting draws, and a sparse matrix times the weights.

An image holds few of the classes: nine cells of ten are zero at 150 classes, and ninety-nine of a hundred at 847.
Leaving them out is faster than BLAS on the dense table, and the more so the more classes there are. The pixels of a
class are turned into its scores while they are in the cache; no table of classes by resamples is ever made.

Axes: I images, N classes, b resamples of one block, K cells (class, image) that are not zero, sorted by class:
those of class n are `start[n]` .. `start[n + 1]`.
"""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
@no_type_check
def count_draws(drawn, weights):
    """Add to `weights` (I b) how often each image is in each row of `drawn` (b I)."""
    for resample in range(drawn.shape[0]):
        for draw in range(drawn.shape[1]):
            weights[drawn[resample, draw], resample] += 1


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def class_sums(start, image, cell_hits, cell_union, cell_gt, is_seen, weights):
    """The sums of `ovlab.metrics.scores.ClassSums` (12 b), in its order, of every resample."""
    num_classes, num_resamples = start.size - 1, weights.shape[1]
    sums = np.zeros((12, num_resamples))
    hits, union, gt = np.empty(num_resamples), np.empty(num_resamples), np.empty(num_resamples)
    for row in range(num_classes):
        if start[row] == start[row + 1]:
            continue
        hits[:], union[:], gt[:] = 0.0, 0.0, 0.0
        _add_images(
            start[row], start[row + 1], image, cell_hits, cell_union, cell_gt, weights, hits, union, gt, sums[7]
        )
        iou_of_kind, present_of_kind = (sums[8], sums[9]) if is_seen[row] else (sums[10], sums[11])
        for resample in range(num_resamples):
            # Without ground truth there is no hit, and both ratios are 0.
            iou = hits[resample] / max(union[resample], 1.0)
            present = 1.0 if gt[resample] > 0 else 0.0
            sums[0, resample] += iou
            sums[1, resample] += hits[resample] / max(gt[resample], 1.0)
            sums[2, resample] += iou * gt[resample]
            sums[3, resample] += present
            sums[4, resample] += 1.0 if union[resample] > 0 else 0.0
            sums[5, resample] += hits[resample]
            sums[6, resample] += gt[resample]
            iou_of_kind[resample] += iou
            present_of_kind[resample] += present
    return sums


@njit(nogil=True, cache=True)
@no_type_check
def _add_images(first, last, image, cell_hits, cell_union, cell_gt, weights, hits, union, gt, hallucinated):
    """Add the cells `first` .. `last` of one class, each times the weights of its image.

    A cell without ground truth is a hallucination: all its pixels are predicted, and wrong.
    """
    for cell in range(first, last):
        times = weights[image[cell]]
        value_hits, value_union, value_gt = cell_hits[cell], cell_union[cell], cell_gt[cell]
        if value_gt > 0:
            for resample in range(times.size):
                weight = np.float64(times[resample])
                hits[resample] += value_hits * weight
                union[resample] += value_union * weight
                gt[resample] += value_gt * weight
        else:
            for resample in range(times.size):
                weight = np.float64(times[resample])
                union[resample] += value_union * weight
                hallucinated[resample] += value_union * weight
