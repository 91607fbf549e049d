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
    """Add to `weights` (b I) how often each image is in each row of `drawn` (b I)."""
    for resample in range(drawn.shape[0]):
        times = weights[resample]
        for draw in range(drawn.shape[1]):
            times[np.uint64(drawn[resample, draw])] += 1


@njit(nogil=True, cache=True)
@no_type_check
def class_sums(start, image, cell_hits, cell_gt, cell_pred, weights):
    """The hits, gt and pred (N b) of every resample."""
    num_classes, num_resamples = start.size - 1, weights.shape[1]
    hits = np.empty((num_classes, num_resamples))
    gt, pred = np.empty_like(hits), np.empty_like(hits)
    for row in range(num_classes):
        hits[row], gt[row], pred[row] = 0.0, 0.0, 0.0  # here, where they come into the cache
        cells = slice(start[row], start[row + 1])
        _add_images(
            image[cells], cell_hits[cells], cell_gt[cells], cell_pred[cells], weights, hits[row], gt[row], pred[row]
        )
    return hits, gt, pred


# A product and its sum in one instruction: exact as they are, of whole numbers, and a tenth faster.
@njit(nogil=True, cache=True, fastmath={"contract"})
@no_type_check
def _add_images(image, cell_hits, cell_gt, cell_pred, weights, hits, gt, pred):
    """Add the cells of one class, each times the weights of its image: two at a time, which halves the stores.

    Of an odd number the last one is its own partner, which counts for nothing.
    """
    for one in range(0, image.size, 2):
        other = min(one + 1, image.size - 1)
        is_another = np.float64(other - one)
        one_times, other_times = weights[image[one]], weights[image[other]]
        one_hits, one_gt, one_pred = cell_hits[one], cell_gt[one], cell_pred[one]
        other_hits, other_gt, other_pred = (
            is_another * cell_hits[other],
            is_another * cell_gt[other],
            is_another * cell_pred[other],
        )
        for resample in range(hits.size):
            first, second = np.float64(one_times[resample]), np.float64(other_times[resample])
            hits[resample] += one_hits * first + other_hits * second
            gt[resample] += one_gt * first + other_gt * second
            pred[resample] += one_pred * first + other_pred * second


@njit(nogil=True, cache=True)
@no_type_check
def image_sums(values, weights):
    """The sum (b) of a value of each image over every resample."""
    sums = np.zeros(weights.shape[1])
    for image in range(values.size):
        for resample in range(sums.size):
            sums[resample] += values[image] * np.float64(weights[image, resample])
    return sums
