"""How far a score moves when the same training is run again: mean, standard deviation and t-interval over seeds.

This is the noise of training. It is not the noise of sampling images (intervals.py): more images do not make it
smaller, more seeds do not make the other smaller, and no figure here is mixed with one from there. A difference has
both (crossed.py).
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import stdtrit

from ovlab.metrics.intervals import LEVEL, Interval
from ovlab.specs.errors import InputError

# With two runs the 95 % interval is thirteen times as wide as their standard error: it would say nothing.
MIN_SEEDS = 3


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """Every run, by its seed, and what they have in common.

    sd (n - 1 in the denominator) is None for one run; the interval of the mean is None below three.
    """

    runs: dict[int, float]
    mean: float
    sd: float | None
    interval: Interval | None

    @property
    def mark(self) -> str | None:
        """What a table writes beside a figure that too few runs stand behind, or None."""
        return None if len(self.runs) >= MIN_SEEDS else f"{len(self.runs)} run" + "s" * (len(self.runs) > 1)


def summarise_seeds(runs: Mapping[int, float], level: float = LEVEL) -> SeedSummary:
    """Score by seed -> mean +- t(n - 1) sd / sqrt(n). Raises InputError without a run or for a score of NaN."""
    _check(runs)
    by_seed = dict(sorted(runs.items()))
    scores = list(by_seed.values())
    mean, n = statistics.fmean(scores), len(scores)
    sd = statistics.stdev(scores) if n > 1 else None
    interval = None
    if sd is not None and n >= MIN_SEEDS:
        interval = _around(mean, sd / math.sqrt(n), n - 1, level)
    return SeedSummary(by_seed, mean, sd, interval)


def _around(centre: float, error: float, freedom: int, level: float) -> Interval:
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}.")
    reach = float(stdtrit(freedom, (1 + level) / 2)) * error
    return Interval(centre - reach, centre + reach)


def _check(runs: Mapping[int, float]) -> None:
    if not runs:
        raise InputError("no run to summarise; at least one seed is needed.")
    for seed, score in runs.items():
        if math.isnan(score):
            raise InputError(f"the run with seed {seed} has no score (NaN); leave it out or run it again.")
