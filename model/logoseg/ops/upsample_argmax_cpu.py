"""The CPU half of logoseg.ops.upsample_argmax: one compiled pass over the cells of the coarse grid.

A cell is the square between four neighbouring coarse scores. Inside it a bilinear value is a convex mix of the four
corners. So a class whose largest corner lies below the smallest corner of another class cannot win there, and only the
classes that are left, mostly one or two, are evaluated at the pixels of the cell.

Axes: N classes, h x w coarse grid, H x W pixels. A cell is named by its upper left corner; at the lower and the right
border it has two corners only, or one.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int32

from logoseg.ops.bilinear import bilinear_taps
from logoseg.ops.compiled import compiled, run_on_threads

# Work that is worth the start of a thread (about 0.1 ms).
SCORES_PER_THREAD = 500_000


def upsample_max_cpu(
    scores: Float[np.ndarray, "N h w"], size: tuple[int, int]
) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """The winning class of every pixel and its score; the lowest class wins a tie. `scores` must be finite.

    Runs on as many threads as torch does. Beyond the two maps it allocates a few rows.
    """
    scores = np.ascontiguousarray(scores)
    num_rows, num_columns = scores.shape[1:]
    rows = bilinear_taps(num_rows, size[0], scores.dtype)
    columns = bilinear_taps(num_columns, size[1], scores.dtype)
    labels = np.zeros(size, np.int32)
    best = np.full(size, -np.inf, scores.dtype)

    # Cell c holds the pixels first[c] .. first[c + 1] - 1; when down-sampling that may be none.
    first_row = np.searchsorted(rows.lower, np.arange(num_rows + 1))
    first_column = np.searchsorted(columns.lower, np.arange(num_columns + 1))

    num_bands = min(num_rows, 1 + scores.size // SCORES_PER_THREAD)
    bounds = np.linspace(0, num_rows, num_bands + 1).astype(np.int64)

    def decide(band: int) -> None:
        _decide_rows(scores, bounds[band], bounds[band + 1], rows, first_row, columns, first_column, labels, best)

    run_on_threads(decide, range(num_bands), num_threads=num_bands)
    return labels, best


@compiled
@no_type_check
def _decide_rows(scores, start, stop, rows, first_row, columns, first_column, labels, best):
    """Decide the pixels of some rows of cells, class by class in rising order, so that the lowest wins a tie."""
    num_classes, num_rows, num_columns = scores.shape
    floor = np.empty(num_columns, scores.dtype)
    scratch = np.empty(num_columns, scores.dtype)
    contended = np.empty(num_columns, np.int32)
    along_above = np.empty(columns.lower.size, scores.dtype)
    along_below = np.empty(columns.lower.size, scores.dtype)
    for y in range(start, stop):
        first_pixel, stop_pixel = first_row[y], first_row[y + 1]
        if first_pixel == stop_pixel:
            continue
        y_below = min(y + 1, num_rows - 1)
        floor[:] = -np.inf
        for n in range(num_classes):
            _raise_floor(scores[n, y], scores[n, y_below], floor, scratch)
        for n in range(num_classes):
            above, below = scores[n, y], scores[n, y_below]
            num_contended = _mark_contended(above, below, floor, scratch, contended)
            if num_contended == 0:
                continue
            if 4 * num_contended > num_columns:
                contended[:] = 1  # one long loop that vectorises is cheaper than many short ones
            x = 0
            while x < num_columns:
                if not contended[x]:
                    x += 1
                    continue
                left = first_column[x]
                while x < num_columns and contended[x]:
                    x += 1
                span = slice(left, first_column[x])
                _interpolate(above, columns, span, along_above[span])
                _interpolate(below, columns, span, along_below[span])
                for p in range(first_pixel, stop_pixel):
                    weights = rows.lower_weight[p], rows.upper_weight[p]
                    _challenge(
                        np.int32(n), along_above[span], along_below[span], weights, best[p, span], labels[p, span]
                    )


@compiled
@no_type_check
def _raise_floor(above, below, floor, scratch):
    """Raise the floor of every cell, the largest smallest corner of any class, by one more class."""
    last = floor.size - 1
    for x in range(last + 1):
        scratch[x] = above[x] if above[x] < below[x] else below[x]
    for x in range(last):
        smallest = scratch[x] if scratch[x] < scratch[x + 1] else scratch[x + 1]
        floor[x] = smallest if smallest > floor[x] else floor[x]
    floor[last] = scratch[last] if scratch[last] > floor[last] else floor[last]


@compiled
@no_type_check
def _mark_contended(above, below, floor, scratch, contended):
    """Mark the cells in which the largest corner of a class reaches the floor; returns how many they are."""
    last = floor.size - 1
    for x in range(last + 1):
        scratch[x] = above[x] if above[x] > below[x] else below[x]
    num_contended = 0
    for x in range(last):
        largest = scratch[x] if scratch[x] > scratch[x + 1] else scratch[x + 1]
        contended[x] = largest >= floor[x]
        num_contended += contended[x]
    contended[last] = scratch[last] >= floor[last]
    return num_contended + contended[last]


@compiled
@no_type_check
def _interpolate(scores, columns, span, values):
    """Interpolate one coarse row at the pixels of `span`."""
    lower, upper = columns.lower[span], columns.upper[span]
    lower_weight, upper_weight = columns.lower_weight[span], columns.upper_weight[span]
    for i in range(values.size):
        values[i] = lower_weight[i] * scores[lower[i]] + upper_weight[i] * scores[upper[i]]


@compiled
@no_type_check
def _challenge(n, above, below, weights, best, labels):
    """Let class n take the pixels of one row where its score beats the best one so far."""
    lower_weight, upper_weight = weights
    for i in range(best.size):
        score = lower_weight * above[i] + upper_weight * below[i]
        wins = score > best[i]
        best[i] = score if wins else best[i]
        labels[i] = n if wins else labels[i]
