"""A confusion matrix that can be merged, and the scores that follow from it.

For class n: tp its hits, gt its pixels in the ground truth, pred its pixels in the prediction. Ignored pixels are in
none of them.

    IoU_n = tp_n / (gt_n + pred_n - tp_n)        accuracy_n = tp_n / gt_n

Counts are int64 and are added over the whole data set; only then is anything divided, so any order of merging and any
sharding gives the same bits. Scores are fractions, and NaN where nothing could be counted.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from ovlab.metrics.counting import IGNORE_INDEX, count_into
from ovlab.specs.errors import InputError


class SeenUnseen(NamedTuple):
    """mIoU over the classes that training has named, over the others, and 2 s u / (s + u) of the two."""

    seen: float
    unseen: float
    harmonic_mean: float


@dataclass(frozen=True, eq=False, slots=True)
class ConfusionCounts:
    """Pixels of each pair of classes: rows ground truth, columns prediction. `a + b` counts what both counted."""

    counts: Int64[np.ndarray, "N N"]

    @classmethod
    def empty(cls, num_classes: int) -> "ConfusionCounts":
        return cls(np.zeros((num_classes, num_classes), np.int64))

    def merge(self, other: "ConfusionCounts") -> "ConfusionCounts":
        """The counts of both. Raises ValueError when they are of different classes."""
        if self.num_classes != other.num_classes:
            raise ValueError(f"counts of {self.num_classes} and of {other.num_classes} classes cannot be merged.")
        return ConfusionCounts(self.counts + other.counts)

    __add__ = merge

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @property
    def num_pixels(self) -> int:
        """Pixels that were counted, that is, not ignored."""
        return int(self.counts.sum())

    @property
    def gt_pixels(self) -> Int64[np.ndarray, "N"]:
        return self.counts.sum(axis=1)

    @property
    def pred_pixels(self) -> Int64[np.ndarray, "N"]:
        return self.counts.sum(axis=0)

    @property
    def hits(self) -> Int64[np.ndarray, "N"]:
        return np.diagonal(self.counts)

    def iou(self) -> Float64[np.ndarray, "N"]:
        """IoU of each class: 0 for one that is predicted only, NaN for one in neither map."""
        return _ratio(self.hits, self.gt_pixels + self.pred_pixels - self.hits)

    def accuracy(self) -> Float64[np.ndarray, "N"]:
        """Share of each class's pixels that was found; NaN for a class without ground truth."""
        return _ratio(self.hits, self.gt_pixels)

    def mean_iou(self) -> float:
        """The headline: the mean IoU over the classes with ground truth."""
        return _mean(self.iou(), self.gt_pixels > 0)

    def legacy_mean_iou(self) -> float:
        """The same sum divided by the number of classes with ground truth or a prediction.

        This is detectron2's mIoU before July 2022, all released versions up to 0.6 included: a class that is nowhere
        in the ground truth costs a share of the score as soon as one pixel of it is predicted.
        """
        present = self.gt_pixels > 0
        num_found = np.count_nonzero(present | (self.pred_pixels > 0))
        return float(self.iou()[present].sum() / num_found) if num_found else float("nan")

    def frequency_weighted_iou(self) -> float:
        """IoU weighted by the class's share of the ground truth."""
        present = self.gt_pixels > 0
        return _divide(float((self.iou() * self.gt_pixels)[present].sum()), self.num_pixels)

    def pixel_accuracy(self) -> float:
        """Share of the counted pixels that are right."""
        return _divide(int(self.hits.sum()), self.num_pixels)

    def mean_accuracy(self) -> float:
        """The mean accuracy over the classes with ground truth."""
        return _mean(self.accuracy(), self.gt_pixels > 0)

    def seen_unseen_mean_iou(self, seen: Bool[np.ndarray, "N"]) -> SeenUnseen:
        """`mean_iou` over the classes where `seen` is true, over the others, and their harmonic mean.

        NaN where a side has no class with ground truth; the harmonic mean is then NaN too, and 0 if both are 0.
        """
        present = self.gt_pixels > 0
        first, second = _mean(self.iou(), present & seen), _mean(self.iou(), present & ~seen)
        harmonic = 2 * first * second / (first + second) if first + second else 0.0
        return SeenUnseen(first, second, harmonic)


def count_pixels(
    prediction: Integer[np.ndarray, "H W"],
    label: Integer[np.ndarray, "H W"],
    num_classes: int,
    ignore_index: int = IGNORE_INDEX,
) -> ConfusionCounts:
    """The counts of one image. Pixels where the label is `ignore_index` are not looked at.

    Raises InputError for a label or a prediction outside 0 .. num_classes - 1.
    """
    if num_classes < 1:
        raise InputError(f"number of classes must be at least 1, got {num_classes}.")
    confusion = ConfusionCounts.empty(num_classes)
    count_into(confusion.counts, prediction, label, ignore_index)
    return confusion


def _ratio(part: Int64[np.ndarray, "N"], whole: Int64[np.ndarray, "N"]) -> Float64[np.ndarray, "N"]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _mean(scores: Float64[np.ndarray, "N"], chosen: Bool[np.ndarray, "N"]) -> float:
    return float(scores[chosen].mean()) if chosen.any() else float("nan")


def _divide(part: int | float, whole: int) -> float:
    return part / whole if whole else float("nan")
