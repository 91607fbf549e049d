"""Pixels of each class over whole sets of images, and the scores that follow from them.

For class n: hits those that are right, gt its pixels in the ground truth, pred its pixels in the prediction. Ignored
pixels are in none of them.

    IoU_n = hits_n / (gt_n + pred_n - hits_n)        accuracy_n = hits_n / gt_n

Counts are added over all images of a set; only then is anything divided, so any order of adding and any sharding gives
the same bits.

Absent classes: a class without ground truth in a resample is left out of its mean, as it is left out of the mean of
a data set that lacks it. So the mean over a resample is over those classes of the full set that the resample has.

Axes: N classes, B sets of images: 1 for an evaluation, many for its resamples or its images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Integer, Real

from ovlab.specs.scores import SCORES, Kind

Scores = dict[str, Float64[np.ndarray, "B"]]


@dataclass(frozen=True, eq=False)
class ClassPixels:
    """Whole numbers, as int64 or float64. `a + b` counts what both counted."""

    hits: Real[np.ndarray, "N B"]
    gt: Real[np.ndarray, "N B"]
    pred: Real[np.ndarray, "N B"]

    def __add__(self, other: "ClassPixels") -> "ClassPixels":
        return ClassPixels(self.hits + other.hits, self.gt + other.gt, self.pred + other.pred)

    @cached_property
    def union(self) -> Real[np.ndarray, "N B"]:
        union = self.gt + self.pred
        union -= self.hits
        return union

    @cached_property
    def present(self) -> Float64[np.ndarray, "N B"]:
        """1 for a class with ground truth, else 0."""
        return (self.gt > 0).astype(np.float64)

    @cached_property
    def num_present(self) -> Float64[np.ndarray, "B"]:
        """How many classes have ground truth."""
        return self.present.sum(axis=0)

    @cached_property
    def num_found(self) -> Integer[np.ndarray, "B"]:
        """How many classes have ground truth or a prediction. A label has 16 bits, and so has their number."""
        return (self.union > 0).sum(axis=0, dtype=np.uint16)

    @cached_property
    def iou(self) -> Float64[np.ndarray, "N B"]:
        """IoU of each class; 0 for one that is predicted only, and for one that is nowhere."""
        return _share(self.hits, self.union)

    @cached_property
    def accuracy(self) -> Float64[np.ndarray, "N B"]:
        """Share of each class's pixels that was found; 0 for a class without ground truth."""
        return _share(self.hits, self.gt)

    def sum(self, values: Real[np.ndarray, "N B"], among: Bool[np.ndarray, "N"] | None = None) -> Real[np.ndarray, "B"]:
        """The sum of finite `values` over the present classes, all or those `among`."""
        return _sum(*self._chosen(values, among))

    def mean(
        self, values: Real[np.ndarray, "N B"], among: Bool[np.ndarray, "N"] | None = None
    ) -> Float64[np.ndarray, "B"]:
        """The mean of finite `values` over the present classes, all or those `among`; NaN where there is none."""
        values, present = self._chosen(values, among)
        return ratio(_sum(values, present), present.sum(axis=0))

    def _chosen(
        self, values: Real[np.ndarray, "N B"], among: Bool[np.ndarray, "N"] | None
    ) -> tuple[Real[np.ndarray, "M B"], Float64[np.ndarray, "M B"]]:
        return (values, self.present) if among is None else (values[among], self.present[among])


@dataclass(frozen=True, eq=False)
class ClassTotals:
    """What B sets of `num_images` images add up to. `hallucinated`: pixels predicted as a class that is nowhere in the
    ground truth of their image. `seen`: the classes that training has named, where that is known. `beside`: what else
    was counted, by kind."""

    num_images: int
    pixels: ClassPixels
    hallucinated: Real[np.ndarray, "B"]
    seen: Bool[np.ndarray, "N"] | None = None
    beside: Mapping[Kind, ClassPixels] = field(default_factory=dict)

    def __add__(self, other: "ClassTotals") -> "ClassTotals":
        """The totals of both. Raises ValueError when they are of different classes."""
        if self.num_classes != other.num_classes:
            raise ValueError(f"counts of {self.num_classes} and of {other.num_classes} classes cannot be added.")
        return ClassTotals(
            num_images=self.num_images + other.num_images,
            pixels=self.pixels + other.pixels,
            hallucinated=self.hallucinated + other.hallucinated,
            seen=self.seen,
            beside={kind: self.beside[kind] + other.beside[kind] for kind in self.beside if kind in other.beside},
        )

    @property
    def num_classes(self) -> int:
        return len(self.pixels.gt)

    @cached_property
    def num_pixels(self) -> Real[np.ndarray, "B"]:
        """Pixels that were counted, that is, not ignored."""
        return self.pixels.gt.sum(axis=0)

    @cached_property
    def _made(self) -> Scores:
        return {}

    def __getitem__(self, name: str) -> Float64[np.ndarray, "B"]:
        """The score of that name, made once, so that others may be made of it."""
        if name not in self._made:
            self._made[name] = SCORES[name].of(self)
        return self._made[name]

    @staticmethod
    def ratio(part: Real[np.ndarray, "B"], whole: Real[np.ndarray, "B"]) -> Float64[np.ndarray, "B"]:
        """part / whole, NaN where there is no whole."""
        return ratio(part, whole)


def scores_of(totals: ClassTotals, names: Iterable[str] | None = None) -> Scores:
    """Every score of SCORES, or those of `names`, but for those that need what is not known of `totals`."""
    wanted = [SCORES[name] for name in (SCORES if names is None else names)]
    return {
        score.name: totals[score.name]
        for score in wanted
        if (totals.seen is not None or not score.needs_seen) and totals.beside.keys() >= set(score.needs)
    }


def ratio(part: Real[np.ndarray, "*shape"], whole: Real[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """part / whole, NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _share(part: Real[np.ndarray, "N B"], whole: Real[np.ndarray, "N B"]) -> Float64[np.ndarray, "N B"]:
    """part / whole, 0 where there is no whole."""
    # Of a row of ones: to compare with a scalar takes NumPy twice the time.
    share = np.maximum(whole, np.ones(whole.shape[1]))
    return np.divide(part, share, out=share)


def _sum(values: Real[np.ndarray, "M B"], present: Float64[np.ndarray, "M B"]) -> Real[np.ndarray, "B"]:
    if values.shape[1] == 1:  # NumPy adds a vector in another order than rows, and an evaluation is a vector
        return values[present > 0].sum(keepdims=True)
    if values.flags.c_contiguous:  # to the same bits, and without a table of products
        return np.einsum("nb,nb->b", values, present)
    return (values * present).sum(axis=0)
