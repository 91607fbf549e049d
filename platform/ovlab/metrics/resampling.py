"""The image bootstrap: what the scores would have been on other test sets of the same kind.

A resample draws I of the I images with replacement. It is a column of weights, how often each image was drawn, and
the totals of all resamples are products of matrices

    hits, union, gt (N I) @ weights (I B)

in float64, of which every class gives its share to the scores at once (resampling_kernels.py). They hold whole numbers
and are exact as long as I times the pixels of the largest image stays below 2**53. Images are resampled and not pixels,
because the pixels of one image go right and wrong together.

Axes: I images, N classes, B resamples, b of them in one block, K (class, image) cells that are not zero.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling_kernels import class_sums, count_draws
from ovlab.metrics.scores import ClassSums, Scores, scores_of
from ovlab.specs.errors import InputError

NUM_RESAMPLES = 2000

# Resamples at a time: the weights and sums of a block stay in the cache of the processor.
_BLOCK = 250

_SEEN_SCORES = frozenset({"seen_miou", "unseen_miou", "harmonic_miou"})


@dataclass(frozen=True, eq=False, slots=True)
class Resamples:
    """The scores on all images, those on each of the B resamples under the same names, and for each resample the
    number of classes that have ground truth in the full set and none in it."""

    full: dict[str, float]
    scores: Scores
    num_absent: Int64[np.ndarray, "B"]

    @property
    def mean_absent(self) -> float:
        return float(self.num_absent.mean())


def resample(
    counts: PerImageCounts,
    seen: Bool[np.ndarray, "N"] | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Resamples:
    """The scores of `num_resamples` resamples. Equal seeds draw equal images of two runs that list them alike.

    Raises InputError for fewer than two images, whose resamples are all the same, and for fewer than one resample.
    """
    if counts.num_images < 2:
        raise InputError(f"resampling needs at least 2 images, got {counts.num_images}.")
    if num_resamples < 1:
        raise InputError(f"number of resamples must be at least 1, got {num_resamples}.")
    cells = _cells(counts, seen)
    full = _sums(cells, np.ones((counts.num_images, 1), np.uint8))
    blocks = [_sums(cells, weights) for weights in draw_weights(counts.num_images, num_resamples, seed)]
    sums = ClassSums(*np.concatenate(blocks, axis=1))
    left_out = _SEEN_SCORES if seen is None else frozenset()
    return Resamples(
        full={name: float(score[0]) for name, score in scores_of(ClassSums(*full)).items() if name not in left_out},
        scores={name: score for name, score in scores_of(sums).items() if name not in left_out},
        num_absent=(ClassSums(*full).num_present - sums.num_present).astype(np.int64),
    )


@lru_cache(maxsize=8)
def draw_weights(num_images: int, num_resamples: int, seed: int) -> tuple[UInt8[np.ndarray, "I b"], ...]:
    """How often each image is in each resample, in blocks of resamples; every column sums to I.

    Kept, because all runs on one benchmark are given the same draws. No image is drawn 256 times: of I images that
    has a chance below 1 / 256!.
    """
    generator = np.random.default_rng(seed)
    blocks = []
    for start in range(0, num_resamples, _BLOCK):
        width = min(_BLOCK, num_resamples - start)
        weights = np.zeros((num_images, width), np.uint8)
        count_draws(generator.integers(0, num_images, (width, num_images)), weights)
        weights.flags.writeable = False
        blocks.append(weights)
    return tuple(blocks)


class _Cells(NamedTuple):
    """The cells in which anything was counted, by class; see resampling_kernels.py."""

    start: Int64[np.ndarray, "N+1"]
    image: Int64[np.ndarray, "K"]
    hits: Float64[np.ndarray, "K"]
    union: Float64[np.ndarray, "K"]
    gt: Float64[np.ndarray, "K"]
    is_seen: Bool[np.ndarray, "N"]


def _cells(counts: PerImageCounts, seen: Bool[np.ndarray, "N"] | None) -> _Cells:
    union = counts.union()
    row, image = np.nonzero(union.T)
    start = np.searchsorted(row, np.arange(counts.num_classes + 1))
    hits, in_either, gt = (table[image, row].astype(np.float64) for table in (counts.hits, union, counts.gt))
    return _Cells(start, image, hits, in_either, gt, np.ones(counts.num_classes, bool) if seen is None else seen)


def _sums(cells: _Cells, weights: UInt8[np.ndarray, "I b"]) -> Float64[np.ndarray, "12 b"]:
    weights = weights.view()
    weights.flags.writeable = False  # Numba compiles once for each of the two kinds of array
    return class_sums(*cells, weights)
