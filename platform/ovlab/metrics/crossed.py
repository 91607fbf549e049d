"""Whether one subject is better than another, for new seeds and new images at once: one test with both noises.

With S seeds a side, scored on the same images, and d = mean score of the second - mean score of the first:

    V = s1^2 / S1 + s2^2 / S2 + max(0, w^2 - o1^2 / S1 - o2^2 / S2)
    t = d / sqrt(V), with Satterthwaite's degrees V^2 / sum_k ((s_k^2 / S_k)^2 / (S_k - 1))

s_k is the standard deviation over the seeds of a side (Welch: the sides may differ in it). w is the noise of images in
d, from resamples that are the same for all runs: half of the interval of intervals.py, over 1.96. In it, and in s_k, is
that part of the noise of images which each seed has of its own, o_k: how far resamples move it apart from the mean of
its side. So it is taken off once; counted twice, it made 99 % intervals of 95 % ones (`ovlab bench verdicts`). What is
left of the images is taken as known: it has no degrees of its own.

From PAIRED_FROM common seeds on, the seeds are paired: one term, of the differences of each seed, stands for those of
the two sides. Runs of one seed begin with the same weights where they have the same parts, and see the same data.
Measured over three rows of the miniature (100 updates, eight seeds, all images of three benchmarks), the variance of
the differences of pairs is 0.73 of the sum of both variances (0.61 on the first 64 images). Pairs have half of the
degrees: they pay below 0.69 with five seeds, 0.82 with eight, 0.86 with ten. Fewer would have too few: beside known
images, three pairs call a null effect significant in 7.8 %.

The rule it replaces, the larger of a p-value over images and one over seeds, asks each noise alone and never their sum:
where both are alike it called a null effect significant in up to 13 % of cases instead of 5.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.special import ndtri, stdtr, stdtrit

from ovlab.metrics.intervals import LEVEL, Interval, interval_about
from ovlab.metrics.per_image import PerImageCounts, matched
from ovlab.metrics.resampling import NUM_RESAMPLES, Resamples, resample
from ovlab.specs.errors import InputError

PAIRED_FROM = 8


class Spread(NamedTuple):
    """Of the scores of one side, or of the differences of pairs: their number, and the variance of one of them over
    seeds. 0 for what is not trained, None for a single training, of which it is not known."""

    num_seeds: int
    variance: float | None

    @property
    def of_mean(self) -> float:
        """The variance of their mean; 0 where it is not known."""
        return (self.variance or 0.0) / self.num_seeds


@dataclass(frozen=True, eq=False, slots=True)
class Side:
    """`scores`: by seed. `deviations`: for each set of photographs, how far each seed's score on a resample of them is
    from what it is on all of them; a single 0 where nothing is resampled."""

    scores: Mapping[int, float]
    deviations: tuple[Float64[np.ndarray, "S _"], ...]
    is_trained: bool = True

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores.values())

    @property
    def mean_deviations(self) -> tuple[Float64[np.ndarray, "_"], ...]:
        """Of the mean over seeds."""
        return tuple(part.mean(axis=0) for part in self.deviations)

    @property
    def spread(self) -> Spread:
        scores = list(self.scores.values())
        if not self.is_trained:
            return Spread(len(scores), 0.0)
        return Spread(len(scores), statistics.variance(scores) if len(scores) > 1 else None)

    @property
    def own_variance(self) -> float:
        """Of the mean: what of the noise of images every seed has of its own."""
        if len(self.scores) < 2:
            return 0.0
        return sum(_mean(part.var(axis=0, ddof=1)) for part in self.deviations) / len(self.scores)

    def less(self, other: "Side", seeds: Sequence[int]) -> "Side":
        """The differences of `seeds`, which both have, to those of another side."""
        here, there = ([list(side.scores).index(seed) for seed in seeds] for side in (self, other))
        return Side(
            {seed: self.scores[seed] - other.scores[seed] for seed in seeds},
            tuple(one[here] - two[there] for one, two in zip(self.deviations, other.deviations, strict=True)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossedDifference:
    """`difference` is second - first. `spreads`: of the two sides, or one of the differences of pairs.
    `image_variance`: its variance over images, as far as all seeds share it; None where no resample has a score.
    `level` is that of `interval`."""

    difference: float
    spreads: tuple[Spread, ...]
    image_variance: float | None
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"level must be between 0 and 1, got {self.level}.")

    @property
    def knows_seeds(self) -> bool:
        """Whether the noise of seeds is known of both sides; otherwise the interval is over images alone."""
        return all(spread.variance is not None for spread in self.spreads)

    @property
    def num_seeds(self) -> int:
        """Of the side that has fewer, among those that have any noise of seeds."""
        noisy = [spread for spread in self.spreads if spread.variance != 0]
        return min(spread.num_seeds for spread in noisy or self.spreads)

    @property
    def seed_variance(self) -> float:
        return sum(spread.of_mean for spread in self.spreads)

    @property
    def error(self) -> float | None:
        """The standard error."""
        return None if self.image_variance is None else math.sqrt(self.seed_variance + self.image_variance)

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees; infinite without any noise of seeds."""
        known = [spread for spread in self.spreads if spread.num_seeds > 1]
        parts, freedoms = [spread.of_mean for spread in known], [spread.num_seeds - 1 for spread in known]
        return float(satterthwaite(parts, freedoms, self.image_variance or 0.0))

    @property
    def interval(self) -> Interval | None:
        return self.interval_at(self.level)

    def interval_at(self, level: float) -> Interval | None:
        """None where the noise is not known."""
        return self.interval_missing(1 - level)

    def interval_missing(self, probability: float) -> Interval | None:
        """The interval that misses the truth with this probability, which may be too small to be told from 1."""
        if self.error is None:
            return None
        reach = -float(stdtrit(self.freedom, probability / 2)) * self.error
        return Interval(self.difference - reach, self.difference + reach)

    @property
    def p_value(self) -> float | None:
        """Of no difference, two-sided; without any noise 1 or 0."""
        if self.error is None:
            return None
        if self.error == 0:
            return float(self.difference == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.difference) / self.error))

    @property
    def seed_share(self) -> float | None:
        """How much of the variance is that of seeds; None where it is not known, and where there is none."""
        return self.seed_variance / self.error**2 if self.knows_seeds and self.error else None

    @property
    def image_share(self) -> float | None:
        """How much of it is that of images."""
        return None if self.seed_share is None else 1 - self.seed_share


def crossed_difference(
    first: Mapping[int, PerImageCounts],
    second: Mapping[int, PerImageCounts],
    score: str,
    *,
    level: float = LEVEL,
    seen: Bool[np.ndarray, "N"] | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> CrossedDifference:
    """Of two sides, each the counts of its seeds on the same images, matched by id.

    Two seeds a side suffice; one alone leaves the noise of seeds unknown. Raises InputError for a side without a seed,
    runs on other images, classes or labels, fewer than two images, and a level outside 0 .. 1.
    """
    for name, side in (("first", first), ("second", second)):
        if not side:
            raise InputError(f"the {name} side has no run; at least one seed is needed.")
    order = next(iter(first.values()))
    sides = []
    for name, side in (("first", first), ("second", second)):
        found = [
            resample(
                matched(order, counts, ("the first run", f"seed {seed} of the {name} side")),
                seen,
                names=(score,),
                num_resamples=num_resamples,
            )
            for seed, counts in side.items()
        ]
        sides.append(side_of(dict(zip(side, found, strict=True)), score))
    return difference_of(*sides, level=level)


def side_of(runs: Mapping[int, Resamples], score: str, *, is_trained: bool = True) -> Side:
    """A side on one set of photographs, from the resamples of its seeds."""
    moved = [run.scores[score] - run.full[score] for run in runs.values()]
    return Side({seed: run.full[score] for seed, run in runs.items()}, (np.stack(moved),), is_trained)


def satterthwaite(
    parts: Sequence[float | Float64[np.ndarray, "*shape"]],
    freedoms: Sequence[int],
    image_variance: float | Float64[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "*shape"]:
    """The degrees of freedom of a variance of which `parts` are estimated, each with its `freedoms`; infinite where
    nothing is."""
    variance = np.asarray(sum(parts) + image_variance, np.float64)
    uncertain = sum((part**2 / freedom for part, freedom in zip(parts, freedoms, strict=True)), np.zeros_like(variance))
    return np.divide(variance**2, uncertain, out=np.full_like(variance, np.inf), where=uncertain > 0)


def difference_of(first: Side, second: Side, *, level: float = LEVEL) -> CrossedDifference:
    """Of two sides that were resampled alike. Sets of photographs are independent: their variances add up."""
    both = [seed for seed in first.scores if seed in second.scores]
    sides: tuple[Side, ...]
    if first.is_trained and second.is_trained and len(both) >= PAIRED_FROM:
        pairs = second.less(first, both)
        sides, difference, moved = (pairs,), pairs.mean, pairs.mean_deviations
    else:
        sides, difference = (first, second), second.mean - first.mean
        moved = tuple(b - a for a, b in zip(first.mean_deviations, second.mean_deviations, strict=True))
    parts = [_variance(part) for part in moved]
    image_variance = None
    if None not in parts:
        shared = sum(part for part in parts if part is not None) - sum(side.own_variance for side in sides)
        image_variance = max(0.0, shared)
    return CrossedDifference(
        difference=difference,
        spreads=tuple(side.spread for side in sides),
        image_variance=image_variance,
        level=level,
    )


def _variance(deviation: Float64[np.ndarray, "_"]) -> float | None:
    """Of a normal distribution that has the interval of what the resamples say."""
    interval = interval_about(0.0, deviation)
    return None if interval is None else (interval.high / float(ndtri((1 + LEVEL) / 2))) ** 2


def _mean(values: Float64[np.ndarray, "_"]) -> float:
    """Of the resamples that have a score; 0 where none has."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else 0.0
