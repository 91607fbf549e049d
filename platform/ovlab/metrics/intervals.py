"""How far a score would move on another test set of the same kind: an interval from the image bootstrap.

With q the quantiles of the resampled scores s_b and s the score on all images, the interval is

    s -+ max(q((1 + level) / 2) - s, s - q((1 - level) / 2))

the percentile interval made symmetric by its longer side. It is meant to cover the score of the population of images,
averaged over the classes that the test set has. Simulated test sets decided (nominal 95 %; 12 classes in 30 and 80
images, 60 in 100 and 200, 150 in 500). With common classes all intervals are alike. With many classes of one to three
images a resample lacks some of them and repeats others, which shifts the mean; the score itself has such a bias, but
not always of the same sign. So the percentile interval falls to 76 %, BCa and the reflected (basic) one to 80 %, the
studentised one to 85 %; this one stays within 91-98 %. It always holds the score. `Resamples.mean_absent` says how many
classes resamples lack: where that is a large share, read the interval as a lower bound of the noise.

It says nothing about another training of the same model; that is in seeds.py, and the two are never added up.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ovlab.specs.errors import InputError

LEVEL = 0.95


class Interval(NamedTuple):
    low: float
    high: float


def interval_about(value: float, resampled: Float64[np.ndarray, "B"], level: float = LEVEL) -> Interval | None:
    """The interval about `value` from its resampled values.

    NaN, a resample with nothing to average, counts as not drawn; None where all are NaN. Raises InputError for a level
    outside 0 .. 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, got {level}.")
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    reach = max(float(high) - value, value - float(low))
    return Interval(value - reach, value + reach)


def within_0_and_1(interval: Interval | None) -> Interval | None:
    """Scores are fractions: nothing is below 0 or above 1."""
    return None if interval is None else Interval(max(interval.low, 0.0), min(interval.high, 1.0))
