"""Whether one run is better than another on the same images: the paired image bootstrap.

Both runs are scored on the same resamples. Easy and hard images move both alike, so the difference is known far
better than either score. With d = score of the second - score of the first, and d_b the same on resample b:

    superiority = share of d_b > 0, ties by half
    p = 2 (1 + max(#{d_b - d >= |d|}, #{d_b - d <= -|d|})) / (B + 1), at most 1

The p-value is two-sided and is that of the interval of intervals.py: p < 0.05 where the 95 % interval leaves out zero.
It cannot be below 2 / (B + 1).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from ovlab.metrics.intervals import LEVEL, Interval, interval_about
from ovlab.metrics.per_image import PerImageCounts, matched
from ovlab.metrics.resampling import NUM_RESAMPLES, resample


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """`difference` is second - first. What the resamples say is None where a score has nothing to average."""

    first: float
    second: float
    difference: float
    interval: Interval | None
    superiority: float | None
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One difference a score (names as in `ovlab.metrics.summary`). `mean_absent`: classes with ground truth in the
    full set that a resample lacks, on average."""

    scores: dict[str, PairedDifference]
    mean_absent: float
    num_images: int
    num_resamples: int
    level: float


def compare_runs(
    first: PerImageCounts,
    second: PerImageCounts,
    seen: Bool[np.ndarray, "N"] | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    names: tuple[str, str] = ("the first run", "the second run"),
) -> Comparison:
    """Compare two runs score by score. Images are matched by id, whatever their order.

    Raises InputError for runs on other images, classes or labels (named in it), for fewer than two images, and for a
    level outside 0 .. 1.
    """
    second = matched(first, second, names)
    of_first = resample(first, seen, num_resamples=num_resamples, seed=seed)
    of_second = resample(second, seen, num_resamples=num_resamples, seed=seed)
    return Comparison(
        scores={
            name: _difference(
                of_first.full[name], of_second.full[name], of_second.scores[name] - of_first.scores[name], level
            )
            for name in of_first.full
        },
        mean_absent=of_first.mean_absent,
        num_images=first.num_images,
        num_resamples=num_resamples,
        level=level,
    )


def superiority(differences: Float64[np.ndarray, "B"]) -> float:
    """Share of resamples in which the second run is ahead; a tie counts half."""
    return float(np.mean(differences > 0) + np.mean(differences == 0) / 2)


def p_value(difference: float, differences: Float64[np.ndarray, "B"]) -> float:
    """Two-sided p-value of no difference, from 2 / (B + 1) to 1; `differences` are those of the resamples."""
    moved = differences - difference
    tail = max(np.count_nonzero(moved >= abs(difference)), np.count_nonzero(moved <= -abs(difference)))
    return min(1.0, 2 * (1 + tail) / (len(differences) + 1))


def _difference(first: float, second: float, resampled: Float64[np.ndarray, "B"], level: float) -> PairedDifference:
    difference = second - first
    interval = interval_about(difference, resampled, level)
    defined = resampled[~np.isnan(resampled)]
    return PairedDifference(
        first=first,
        second=second,
        difference=difference,
        interval=interval,
        superiority=None if interval is None else superiority(defined),
        p_value=None if interval is None else p_value(difference, defined),
    )
