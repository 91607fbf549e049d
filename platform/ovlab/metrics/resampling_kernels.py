"""The loops of the image bootstrap, compiled: counting draws, and a sparse matrix times the weights.

An image holds few of the classes: nine cells of ten are zero at 150 classes, and ninety-nine of a hundred at 847.
Leaving them out is faster than BLAS on the dense table, and the more so the more classes there are.

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


@njit(nogil=True, cache=True)
@no_type_check
def weighted_sums(start, image, cell_hits, cell_union, cell_gt, weights):
    """hits, union and gt (N b) and hallucinated (b) of every resample, in float64.

    A cell without ground truth is a hallucination: all its pixels are predicted, and wrong.
    """
    num_classes, num_resamples = start.size - 1, weights.shape[1]
    hits = np.zeros((num_classes, num_resamples))
    union = np.zeros((num_classes, num_resamples))
    gt = np.zeros((num_classes, num_resamples))
    hallucinated = np.zeros(num_resamples)
    for row in range(num_classes):
        row_hits, row_union, row_gt = hits[row], union[row], gt[row]
        for cell in range(start[row], start[row + 1]):
            times = weights[image[cell]]
            value_hits, value_union, value_gt = cell_hits[cell], cell_union[cell], cell_gt[cell]
            if value_gt > 0:
                for resample in range(num_resamples):
                    weight = np.float64(times[resample])
                    row_hits[resample] += value_hits * weight
                    row_union[resample] += value_union * weight
                    row_gt[resample] += value_gt * weight
            else:
                for resample in range(num_resamples):
                    weight = np.float64(times[resample])
                    row_union[resample] += value_union * weight
                    hallucinated[resample] += value_union * weight
    return hits, union, gt, hallucinated
