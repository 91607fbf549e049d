"""Counting the (ground truth, prediction) pairs of one image, the slow part of every segmentation metric.

An image is added to a confusion matrix directly. Its own pairs, few of the N x N, are counted in a matrix that the
thread keeps, of which only the rows of the classes that are in the image are read out and cleared. The loops are in
counting_kernels.py.
"""

import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, Integer, UInt16

from ovlab.metrics.counting_kernels import add_pixels, add_runs, drain, is_noise
from ovlab.specs.errors import InputError
from ovlab.specs.scores import Kind

# The value of ovlab.datasets.sample.IGNORE_INDEX: metrics and datasets do not import one another.
IGNORE_INDEX = 65535

_MAX_CLASSES = 65534
# Stands for every value that 16 bits cannot hold; above any class, and not the ignore index.
_UNREPRESENTABLE = np.uint16(65534)

_scratch = threading.local()


class ClassCounts(NamedTuple):
    """Pixels of each class `label` of one image: right, in the ground truth, in the prediction."""

    label: UInt16[np.ndarray, "L"]
    hits: Int64[np.ndarray, "L"]
    gt: Int64[np.ndarray, "L"]
    pred: Int64[np.ndarray, "L"]


# Counts of one image beside those of its pairs, by what was counted.
Beside = Mapping[Kind, ClassCounts]
_NOTHING: Beside = {}


class SparseCounts(NamedTuple):
    """The K pairs that occur in one image, sorted by ground truth, then prediction; every count is above zero.
    `beside`: what else was counted of the image."""

    gt: UInt16[np.ndarray, "K"]
    pred: UInt16[np.ndarray, "K"]
    count: Int64[np.ndarray, "K"]  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    beside: Beside = _NOTHING


def sparse_counts(
    prediction: Integer[np.ndarray, "H W"],
    label: Integer[np.ndarray, "H W"],
    num_classes: int,
    ignore_index: int = IGNORE_INDEX,
) -> SparseCounts:
    """Count the pairs of one image. Pixels where the label is `ignore_index` are not looked at.

    Arrays of uint16 are read as they are; other integers are converted first. Raises InputError for a label or a
    prediction outside 0 .. num_classes - 1, for maps of different sizes, and for an ignore index that is a class.
    """
    pred_row, gt_row = _checked_rows(prediction, label, num_classes, ignore_index)
    counts, in_image = _take_scratch(num_classes), np.zeros(num_classes, np.uint8)
    add = add_pixels if is_noise(pred_row, gt_row) else add_runs
    if add(pred_row, gt_row, ignore_index, counts, in_image) < gt_row.size:
        raise InputError(_first_out_of_range(prediction, label, num_classes, ignore_index))
    found = SparseCounts(*drain(counts, in_image))
    _scratch.counts = counts
    return found


def count_into(
    counts: Int64[np.ndarray, "N N"],
    prediction: Integer[np.ndarray, "H W"],
    label: Integer[np.ndarray, "H W"],
    ignore_index: int = IGNORE_INDEX,
) -> None:
    """Add one image to a confusion matrix in place (rows ground truth, columns prediction).

    Errors as for `sparse_counts`; the matrix is then as it was.
    """
    if counts.dtype != np.int64 or counts.shape != (len(counts), len(counts)) or not counts.flags.c_contiguous:
        raise ValueError(
            f"the confusion matrix must be square, int64 and contiguous, got {counts.shape} {counts.dtype}."
        )
    num_classes = len(counts)
    pred_row, gt_row = _checked_rows(prediction, label, num_classes, ignore_index)
    add = add_pixels if is_noise(pred_row, gt_row) else add_runs
    num_added = add(pred_row, gt_row, ignore_index, counts, np.zeros(num_classes, np.uint8))
    if num_added < gt_row.size:
        added = sparse_counts(pred_row[None, :num_added], gt_row[None, :num_added], num_classes, ignore_index)
        counts[added.gt, added.pred] -= added.count
        raise InputError(_first_out_of_range(prediction, label, num_classes, ignore_index))


def collapse(prediction: Integer[np.ndarray, "H W"], lookup: Integer[np.ndarray, "M"]) -> UInt16[np.ndarray, "H W"]:
    """Replace every predicted class by `lookup[class]`, before counting.

    PAS-20b predicts 59 names and scores 21 classes: `lookup = np.minimum(np.arange(59), 20)`. Raises InputError for a
    prediction outside 0 .. M - 1.
    """
    if prediction.size and not 0 <= prediction.min() <= prediction.max() < len(lookup):
        found = prediction.max() if prediction.min() >= 0 else prediction.min()
        raise InputError(f"prediction {found} is outside 0 .. {len(lookup) - 1}, the classes of the lookup.")
    return lookup.astype(np.uint16)[prediction]


def _checked_rows(
    prediction: Integer[np.ndarray, "H W"], label: Integer[np.ndarray, "H W"], num_classes: int, ignore_index: int
) -> tuple[UInt16[np.ndarray, "P"], UInt16[np.ndarray, "P"]]:
    if not 1 <= num_classes <= _MAX_CLASSES:
        raise InputError(f"number of classes must be in 1 .. {_MAX_CLASSES}, got {num_classes}.")
    if not num_classes <= ignore_index <= 65535 or ignore_index == _UNREPRESENTABLE:
        raise InputError(
            f"ignore index must be in {num_classes} .. 65533 or 65535 for {num_classes} classes, got {ignore_index}."
        )
    if prediction.shape != label.shape:
        raise InputError(f"prediction is {_size(prediction)} and label {_size(label)}; both must have one size.")

    return _uint16_row(prediction), _uint16_row(label)


def _take_scratch(num_classes: int) -> Int32[np.ndarray, "N N"]:
    """This thread's matrix, all zero: at N = 847 a fresh one costs as much as the counting.

    It is given back only when it has been drained, so an error or an interrupt leaves no counts behind. int32 halves
    what random labels read and write; no image has 2**31 pixels.
    """
    counts = getattr(_scratch, "counts", None)
    _scratch.counts = None
    if counts is None or len(counts) != num_classes:
        return np.zeros((num_classes, num_classes), np.int32)
    return counts


def _uint16_row(pixels: Integer[np.ndarray, "H W"]) -> UInt16[np.ndarray, "P"]:
    """The map as one contiguous row, not writeable: Numba compiles once for each of the two kinds of array."""
    row = pixels.reshape(-1)
    if row.dtype != np.uint16:
        narrow = row.astype(np.uint16)
        if row.size and (row.min() < 0 or row.max() > 65535):
            narrow[(row < 0) | (row > 65535)] = _UNREPRESENTABLE
        row = narrow
    row = np.ascontiguousarray(row)
    row.flags.writeable = False
    return row


def _size(pixels: np.ndarray) -> str:
    return " x ".join(str(side) for side in pixels.shape)


def _first_out_of_range(prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int) -> str:
    counted = label != ignore_index
    for what, pixels in (("label", label), ("prediction", prediction)):
        wrong = counted & ((pixels < 0) | (pixels >= num_classes))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            return (
                f"{what} {pixels[row, column]} at row {row}, column {column} is outside 0 .. {num_classes - 1} "
                f"({ignore_index} in the label is ignored)."
            )
    raise AssertionError("every pixel is in range")
