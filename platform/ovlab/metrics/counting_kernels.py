"""The loops of counting, compiled.

Label maps are made of regions, so most neighbouring pixels hold the same pair. A block of pixels is taken in three
passes: mark where a pixel differs from the one before (the compiler makes vector instructions of this), list the marks,
add the runs between them. No pass has a branch that is hard to predict. Maps of noise have marks everywhere and are
added pixel by pixel instead.

Axes: P pixels of an image, N classes. `in_image` holds N flags: which classes are in the label. Indices are unsigned,
which spares Numba's test for negative ones.
"""

from typing import no_type_check

import numpy as np
from numba import njit

_BLOCK = 4096  # the marks and the two maps of a block stay in the first-level cache
_GROUP = 8  # marks looked at together, as one 64-bit word
_SAMPLED = 251  # one pixel of so many; a prime, so that the sample has pixels of every column
_NOISE = 1 / 8  # with a larger share of marks, adding runs takes longer than adding pixels


@njit(nogil=True, cache=True)
@no_type_check
def is_noise(pred, gt):
    """Whether a sample says that too many pixels differ from the one before for `add_runs` to be quick."""
    num_changes = 0
    for index in range(1, gt.size, _SAMPLED):
        num_changes += (pred[index] != pred[index - 1]) | (gt[index] != gt[index - 1])
    return num_changes * _SAMPLED > _NOISE * gt.size


@njit(nogil=True, cache=True)
@no_type_check
def add_runs(pred, gt, ignore_index, counts, in_image):
    """Add both maps to `counts` and say which classes are in the label.

    Returns the number of pixels added, counted from the first: P, or fewer when a pixel that is not ignored is out of
    range.
    """
    marks = np.zeros(_BLOCK, np.uint8)
    groups, starts = np.empty(_BLOCK // _GROUP + 1, np.int64), np.empty(_BLOCK + 1, np.int64)
    for begin in range(0, gt.size, _BLOCK):
        block_pred, block_gt = pred[begin : begin + _BLOCK], gt[begin : begin + _BLOCK]
        _mark_changes(block_pred, block_gt, marks)
        num_groups = _list_marked_groups(marks, groups)
        num_runs = _list_starts(marks, groups[:num_groups], starts)
        starts[num_runs] = block_gt.size
        added = _add_listed_runs(block_pred, block_gt, starts[: num_runs + 1], ignore_index, counts, in_image)
        if added < block_gt.size:
            return begin + added
    return gt.size


@njit(nogil=True, cache=True)
@no_type_check
def add_pixels(pred, gt, ignore_index, counts, in_image):
    """The same as `add_runs`, pixel by pixel, and all classes are said to be in the label.

    The loop that adds does nothing else: a large matrix is not in the cache, and the fewer instructions there are, the
    more cells are waited for at the same time.
    """
    in_image[:] = 1
    cells = counts.reshape(-1)
    block_cells = np.empty(_BLOCK, np.uint32)
    for begin in range(0, gt.size, _BLOCK):
        block_pred, block_gt = pred[begin : begin + _BLOCK], gt[begin : begin + _BLOCK]
        num_cells, in_range = _list_cells(block_pred, block_gt, ignore_index, in_image.size, block_cells)
        if not in_range:
            return begin
        for index in range(num_cells):
            cells[np.uint64(block_cells[index])] += 1
    return gt.size


@njit(nogil=True, cache=True)
@no_type_check
def _list_cells(pred, gt, ignore_index, num_classes, cells):
    """Where the pixels that are not ignored belong in the flat matrix, and whether all of them are in range."""
    num_classes, ignored = np.uint32(num_classes), np.uint32(ignore_index)
    any_ignored = any_wrong = False
    for index in range(gt.size):
        row, column = np.uint32(gt[index]), np.uint32(pred[index])
        cells[index] = row * num_classes + column
        any_ignored |= row == ignored
        any_wrong |= (row != ignored) & ((row >= num_classes) | (column >= num_classes))
    if not any_ignored:
        return np.uint64(gt.size), not any_wrong
    position = np.uint64(0)
    for index in range(gt.size):
        cells[position] = cells[index]
        position += np.uint64(gt[index] != ignored)
    return position, not any_wrong


@njit(nogil=True, cache=True)
@no_type_check
def _mark_changes(pred, gt, marks):
    """One at the first pixel and wherever the pair is another than the one before."""
    pred_before, gt_before, pred_after, gt_after, marks_after = pred[:-1], gt[:-1], pred[1:], gt[1:], marks[1:]
    for index in range(gt_after.size):
        differs = (pred_after[index] != pred_before[index]) | (gt_after[index] != gt_before[index])
        marks_after[index] = differs
    marks[0] = 1
    marks[gt.size :] = 0


@njit(nogil=True, cache=True)
@no_type_check
def _list_marked_groups(marks, groups):
    """Which groups hold a mark. Every number is written, and only the position moves on, which spares a branch."""
    words = marks.view(np.uint64)
    position = np.uint64(0)
    for group in range(words.size):
        groups[position] = group
        position += np.uint64(words[group] != 0)
    return position


@njit(nogil=True, cache=True)
@no_type_check
def _list_starts(marks, groups, starts):
    position = np.uint64(0)
    for group in groups:
        first = np.uint64(group * _GROUP)
        for index in range(first, first + np.uint64(_GROUP)):
            starts[position] = index
            position += np.uint64(marks[index])
    return position


@njit(nogil=True, cache=True)
@no_type_check
def _add_listed_runs(pred, gt, starts, ignore_index, counts, in_image):
    num_classes = np.uint64(in_image.size)
    for run in range(starts.size - 1):
        start = np.uint64(starts[run])
        row, column = np.uint64(gt[start]), np.uint64(pred[start])
        if row < num_classes:
            if column >= num_classes:
                return starts[run]
            counts[row, column] += starts[run + 1] - starts[run]
            in_image[row] = 1
        elif row != np.uint64(ignore_index):
            return starts[run]
    return gt.size


@njit(nogil=True, cache=True)
@no_type_check
def drain(counts, in_image):
    """Take what is above zero in the rows of `in_image` out of `counts`, leaving it zero."""
    num_classes = in_image.size
    total = 0
    for row in range(num_classes):
        if in_image[row]:
            for column in range(num_classes):
                total += counts[row, column] != 0
    # One entry more than needed, as in _list_marked_groups.
    gt, pred = np.empty(total + 1, np.uint16), np.empty(total + 1, np.uint16)
    count = np.empty(total + 1, np.int64)
    position = np.uint64(0)
    for row in range(num_classes):
        if in_image[row]:
            start, cells = position, counts[row]
            for column in range(num_classes):
                pred[position] = column
                position += np.uint64(cells[column] != 0)
            gt[start:position] = row
            for index in range(start, position):
                count[index] = cells[np.uint64(pred[index])]
            cells[:] = 0
    return gt[:total], pred[:total], count[:total]
