"""The image bootstrap: what the scores would have been on other test sets of the same kind.

A resample draws I of the I images with replacement. It is a column of weights, how often each image was drawn, and
the totals of all resamples are products of matrices

    hits, gt, pred (N I) @ weights (I B)

in float64 (resampling_kernels.py), made and scored block by block. They hold whole numbers and are exact as long as
I times the pixels of the largest image stays below 2**53. Images are resampled and not pixels, because the pixels of
one image go right and wrong together.

Axes: I images, N classes, B resamples, b of them in one block, K (class, image) cells that are not zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from ovlab.metrics.class_totals import ClassPixels, ClassTotals, Scores, scores_of
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling_kernels import class_sums, count_draws, image_sums
from ovlab.specs.errors import InputError
from ovlab.specs.scores import SCORES

NUM_RESAMPLES = 2000

# Resamples at a time: the weights and totals of a block stay in the cache of the processor.
_BLOCK = 250


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
    names: Iterable[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Resamples:
    """The scores of `num_resamples` resamples, as `scores_of`: all, or those of `names`. Equal seeds draw equal images
    of two runs that list them alike.

    Raises InputError for fewer than two images, whose resamples are all the same, and for fewer than one resample.
    """
    if counts.num_images < 2:
        raise InputError(f"resampling needs at least 2 images, got {counts.num_images}.")
    if num_resamples < 1:
        raise InputError(f"number of resamples must be at least 1, got {num_resamples}.")
    names = tuple(SCORES if names is None else names)
    cells = _cells(counts.hits, counts.gt, counts.pred)
    needed = {kind for name in names for kind in SCORES[name].needs}
    beside = {kind: _cells(*tables) for kind, tables in counts.beside.items() if kind in needed}
    hallucinated = np.bincount(cells.image, cells.pred * (cells.gt == 0), minlength=counts.num_images)

    def totals_of(weights: UInt8[np.ndarray, "I b"]) -> ClassTotals:
        return ClassTotals(
            num_images=counts.num_images,
            pixels=ClassPixels(*class_sums(*cells, weights)),
            hallucinated=image_sums(hallucinated, weights),
            seen=seen,
            beside={kind: ClassPixels(*class_sums(*found, weights)) for kind, found in beside.items()},
        )

    all_once = np.ones((counts.num_images, 1), np.uint8)
    all_once.flags.writeable = False  # like the draws: Numba compiles once for each of the two kinds of array
    full = totals_of(all_once)
    scores = scores_of(full, names)
    parts: list[Scores] = []
    num_present = []
    for weights in draw_weights(counts.num_images, num_resamples, seed):
        totals = totals_of(weights)
        parts.append(scores_of(totals, scores))
        num_present.append(totals.pixels.num_present)
    return Resamples(
        full={name: float(score[0]) for name, score in scores.items()},
        scores={name: np.concatenate([part[name] for part in parts]) for name in scores},
        num_absent=(full.pixels.present.sum() - np.concatenate(num_present)).astype(np.int64),
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
        by_resample = np.zeros((width, num_images), np.uint8)
        count_draws(generator.integers(0, num_images, (width, num_images), np.uint32), by_resample)
        weights = np.ascontiguousarray(by_resample.T)
        weights.flags.writeable = False
        blocks.append(weights)
    return tuple(blocks)


class _Cells(NamedTuple):
    """The cells in which anything was counted, by class; see resampling_kernels.py."""

    start: Int64[np.ndarray, "N+1"]
    image: Int64[np.ndarray, "K"]
    hits: Float64[np.ndarray, "K"]
    gt: Float64[np.ndarray, "K"]
    pred: Float64[np.ndarray, "K"]


def _cells(hits: Int64[np.ndarray, "I N"], gt: Int64[np.ndarray, "I N"], pred: Int64[np.ndarray, "I N"]) -> _Cells:
    num_classes = gt.shape[1]
    # Of the flat table, and sorted as 16 bits, by radix: an eighth of the time of np.nonzero and argsort.
    cell = np.flatnonzero(np.logical_or(gt, pred))
    cell = cell[np.argsort((cell % num_classes).astype(np.uint16), kind="stable")]
    image, row = np.divmod(cell, num_classes)
    start = np.searchsorted(row, np.arange(num_classes + 1))
    return _Cells(start, image, *(table.take(cell).astype(float) for table in (hits, gt, pred)))
