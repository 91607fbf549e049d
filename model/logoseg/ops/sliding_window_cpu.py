"""The CPU half of logoseg.ops.sliding_window: one compiled pass over tiles of the photograph.

A bilinear value lies between the sources it mixes, the sigmoid keeps their order, and a mean of views lies between the
means of their bounds. So the smallest and the largest logit that reach a tile bound every score in it, and a class
whose upper bound is below another's lower bound is left out of the tile: of a large vocabulary nearly every class.

Axes: V views, N classes, h x w logits, H x W pixels of the photograph, S x S pixels of the stretched image.
"""

import math
from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int, Int32

from logoseg.config import SlidingWindow
from logoseg.ops.bilinear import Taps, bilinear_taps
from logoseg.ops.compiled import compiled, run_on_threads
from logoseg.views import window_offsets

# Pixels a side. Smaller tiles have fewer classes to evaluate, and cost more to bound.
TILE_SIDE = 32


class Axis(NamedTuple):
    """How the pixels of one axis are made: logits -> view, view -> stretched image, stretched image -> photograph."""

    to_view: Taps
    stretch: Taps
    to_photograph: Taps


class Windows(NamedTuple):
    """Where the windows begin along one side, their side, and the weights of the mean."""

    offsets: Int[np.ndarray, " windows"]
    kernel: int
    # One over the number of windows that see a pixel of the stretched image, along one side.
    mean: Float[np.ndarray, " S"]
    # Shares of the windows' mean and of the global view, in the type of the logits.
    share: np.floating[Any]
    whole_share: np.floating[Any]


def sliding_window_max_cpu(
    logits: Float[np.ndarray, "V N h w"], inference: SlidingWindow, size: tuple[int, int]
) -> tuple[Int32[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """The winning class of every pixel and its score; the lowest class wins a tie. `logits` must be finite.

    Beyond the two maps it allocates a few tiles.
    """
    logits = np.ascontiguousarray(logits)
    dtype, kernel, offsets = logits.dtype, inference.kernel, window_offsets(inference)
    stretch = bilinear_taps(kernel, inference.size, dtype)
    rows = Axis(bilinear_taps(logits.shape[2], kernel, dtype), stretch, bilinear_taps(inference.size, size[0], dtype))
    columns = Axis(
        bilinear_taps(logits.shape[3], kernel, dtype), stretch, bilinear_taps(inference.size, size[1], dtype)
    )
    coverage = np.zeros(inference.size, dtype)
    for offset in offsets:
        coverage[offset : offset + kernel] += 1
    whole_share = dtype.type(0.5 if inference.global_view else 0.0)
    windows = Windows(np.array(offsets), kernel, 1 / coverage, 1 - whole_share, whole_share)
    labels = np.zeros(size, np.int32)
    best = np.full(size, -np.inf, dtype)

    def decide(first_row: int) -> None:
        stop_row = min(first_row + TILE_SIDE, size[0])
        for first_column in range(0, size[1], TILE_SIDE):
            stop_column = min(first_column + TILE_SIDE, size[1])
            _decide_tile(logits, windows, rows, columns, first_row, stop_row, first_column, stop_column, labels, best)

    first_rows = range(0, size[0], TILE_SIDE)
    run_on_threads(decide, first_rows, num_threads=len(first_rows))
    return labels, best


@compiled
@no_type_check
def _decide_tile(logits, windows, rows, columns, first_row, stop_row, first_column, stop_column, labels, best):
    """Decide the pixels of one tile, class by class in rising order, so that the lowest wins a tie."""
    # The part of the stretched image that the tile is made of, and the part of the global view that this is made of.
    top, bottom = rows.to_photograph.lower[first_row], rows.to_photograph.upper[stop_row - 1] + 1
    left, right = columns.to_photograph.lower[first_column], columns.to_photograph.upper[stop_column - 1] + 1
    view_top, view_bottom = rows.stretch.lower[top], rows.stretch.upper[bottom - 1] + 1
    view_left, view_right = columns.stretch.lower[left], columns.stretch.upper[right - 1] + 1
    patches = _patches(windows, top, bottom, left, right)
    whole_patch = np.array([[len(logits) - 1, view_top, view_bottom, view_left, view_right, 0, 0]])

    share, whole_share = windows.share, windows.whole_share
    lower, upper = _bounds(logits, patches, rows.to_view, columns.to_view)
    if whole_share > 0:
        whole_lower, whole_upper = _bounds(logits, whole_patch, rows.to_view, columns.to_view)
        lower = share * lower + whole_share * whole_lower
        upper = share * upper + whole_share * whole_upper
    floor = lower.max()

    stretched = np.empty((bottom - top, right - left), logits.dtype)
    whole = np.empty((view_bottom - view_top, view_right - view_left), logits.dtype)
    for n in range(logits.shape[1]):
        if upper[n] < floor:
            continue
        stretched[:] = 0
        _add_scores(logits, n, patches, rows.to_view, columns.to_view, stretched)
        for i in range(top, bottom):
            for j in range(left, right):
                stretched[i - top, j - left] *= share * windows.mean[i] * windows.mean[j]
        if whole_share > 0:
            whole[:] = 0
            _add_scores(logits, n, whole_patch, rows.to_view, columns.to_view, whole)
            for i in range(top, bottom):
                for j in range(left, right):
                    score = _bilinear(whole, rows.stretch, i, view_top, columns.stretch, j, view_left)
                    stretched[i - top, j - left] += whole_share * score
        for i in range(first_row, stop_row):
            for j in range(first_column, stop_column):
                score = _bilinear(stretched, rows.to_photograph, i, top, columns.to_photograph, j, left)
                if score > best[i, j]:
                    best[i, j] = score
                    labels[i, j] = n


@compiled
@no_type_check
def _patches(windows, top, bottom, left, right):
    """What the windows add to a part of the stretched image: view, the part of it (rows, columns), where it goes."""
    patches = []
    for row in range(windows.offsets.size):
        for column in range(windows.offsets.size):
            y, x = windows.offsets[row], windows.offsets[column]
            first_row, stop_row = max(top - y, 0), min(bottom - y, windows.kernel)
            first_column, stop_column = max(left - x, 0), min(right - x, windows.kernel)
            if first_row < stop_row and first_column < stop_column:
                view = row * windows.offsets.size + column
                to_row, to_column = y + first_row - top, x + first_column - left
                patches.append([view, first_row, stop_row, first_column, stop_column, to_row, to_column])
    return np.array(patches)


@compiled
@no_type_check
def _bounds(logits, patches, rows, columns):
    """The smallest and the largest score of every class in some patches of some views."""
    num_classes = logits.shape[1]
    lower = np.empty(num_classes, logits.dtype)
    upper = np.empty(num_classes, logits.dtype)
    for n in range(num_classes):
        lowest = highest = logits[patches[0, 0], n, rows.lower[patches[0, 1]], columns.lower[patches[0, 3]]]
        for k in range(len(patches)):
            view, first_row, stop_row, first_column, stop_column = patches[k, :5]
            for i in range(rows.lower[first_row], rows.upper[stop_row - 1] + 1):
                for j in range(columns.lower[first_column], columns.upper[stop_column - 1] + 1):
                    logit = logits[view, n, i, j]
                    lowest = logit if logit < lowest else lowest
                    highest = logit if logit > highest else highest
        lower[n], upper[n] = _sigmoid(lowest), _sigmoid(highest)
    return lower, upper


@compiled
@no_type_check
def _add_scores(logits, n, patches, rows, columns, total):
    """Add the scores of class n in some patches, each at its place."""
    for k in range(len(patches)):
        view, first_row, stop_row, first_column, stop_column, to_row, to_column = patches[k]
        for i in range(first_row, stop_row):
            for j in range(first_column, stop_column):
                score = _sigmoid(_bilinear(logits[view, n], rows, i, 0, columns, j, 0))
                total[to_row + i - first_row, to_column + j - first_column] += score


@compiled
@no_type_check
def _bilinear(sources, rows, i, first_row, columns, j, first_column):
    """Pixel (i, j) of a resize whose sources are known from (first_row, first_column) on."""
    above, below = sources[rows.lower[i] - first_row], sources[rows.upper[i] - first_row]
    left, right = columns.lower[j] - first_column, columns.upper[j] - first_column
    left_weight, right_weight = columns.lower_weight[j], columns.upper_weight[j]
    along_above = left_weight * above[left] + right_weight * above[right]
    along_below = left_weight * below[left] + right_weight * below[right]
    return rows.lower_weight[i] * along_above + rows.upper_weight[i] * along_below


@compiled
@no_type_check
def _sigmoid(logit):
    one = type(logit)(1)
    return one / (one + math.exp(-logit))
