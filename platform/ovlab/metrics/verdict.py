"""What a difference and its noise say of the sentence "the first is better", and what it would take to say more.

With an interval of a level, and a margin below which nobody cares:

- no relevant difference: the interval lies inside +- margin, even where it leaves out zero;
- yes, no: it lies above, or below, zero;
- undecided: neither. So it is with a single training a side, whose noise of seeds is not known.

The interval is simultaneously one of a test of no difference and of one of equivalence, so that each of the three
verdicts is false with probability 1 - level at most.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from ovlab.metrics.crossed import PAIRED_FROM, CrossedDifference

Verdict = Literal["yes", "no", "no relevant difference", "undecided", "not measured", "not decided: limited run"]

DECIDED: tuple[Verdict, ...] = ("yes", "no", "no relevant difference")

SIGNIFICANCE = 0.05
POWER = 0.8
# A claim that all planned seeds decide with a smaller chance is given up.
FUTILE = 0.1
# Above, Student's t is the normal distribution, and the number has a formula.
_COUNTED_SEEDS = 1000


def verdict_of(found: CrossedDifference, margin: float, significance: float) -> Verdict:
    """Of one difference, positive where the claim is right."""
    interval = found.interval_missing(significance)
    if interval is None:
        return "not measured"
    if not found.knows_seeds:
        return "undecided"
    if -margin < interval.low and interval.high < margin:
        return "no relevant difference"
    return "yes" if interval.low > 0 else "no" if interval.high < 0 else "undecided"


class Judged(NamedTuple):
    """The verdict on one claim of several, and the significance at which it was reached, or missed."""

    verdict: Verdict
    significance: float


def verdict_above_all(
    found: Sequence[CrossedDifference],
    margin: float,
    significance: float,
    *,
    nominal: Callable[[float], float] = lambda error: error,
) -> Verdict:
    """Of the claim that one is above each of several: it takes all of them to be a yes. One that is not above is
    enough against it, for which each is tested at its share of the significance.

    nominal: the level at which this look is tested, of all error that its test may make over all looks."""
    verdicts = [verdict_of(one, margin, nominal(significance)) for one in found]
    if "not measured" in verdicts:
        return "not measured"
    if set(verdicts) == {"yes"}:
        return "yes"
    against = [verdict_of(one, margin, nominal(significance / len(found))) for one in found]
    decisive: tuple[Verdict, ...] = ("no", "no relevant difference")
    return next((verdict for verdict in decisive if verdict in against), "undecided")


def step_down(
    judges: Sequence[Callable[[float], Verdict]], significance: float, *, num_others: int = 0
) -> list[Judged]:
    """The verdicts of several claims, each a function of its significance, after Holm: all are held against their
    share; as soon as some are decided, the others have larger shares. `num_others` claims beside them keep a share.

    A true null hypothesis that is found false comes with probability `significance` at most, whatever the claims have
    in common: what is passed on comes from claims of which none was true. Where "no relevant difference" may be false,
    too, as of a difference that is the margin itself, its half of a share adds to that.
    """
    judged: dict[int, Judged] = {}
    while len(judged) < len(judges):
        open_ones = [index for index in range(len(judges)) if index not in judged]
        share = significance / (len(open_ones) + num_others)
        found = {index: Judged(judges[index](share), share) for index in open_ones}
        decided = {index: one for index, one in found.items() if one.verdict != "undecided"}
        judged |= decided or found
    return [judged[index] for index in range(len(judges))]


def detectable(found: CrossedDifference, num_seeds: int, *, significance: float, power: float = POWER) -> float | None:
    """The difference that so many seeds a side tell from zero with `power`, or the margin within which they find that
    there is none; None where the noise is not known."""
    numbers = np.array([num_seeds])
    errors = _errors(found, numbers)
    return None if errors is None else float((_quantiles(found, numbers, significance, power) * errors)[0])


def seeds_needed(
    found: CrossedDifference, margin: float, *, significance: float, power: float = POWER
) -> int | float | None:
    """How many seeds a side decide the claim with `power` if the difference is what was observed: infinite where images
    are the limit; None where the noise of seeds is not known."""
    room = max(abs(found.difference), margin - abs(found.difference))
    numbers = np.arange(2, _COUNTED_SEEDS + 1)
    errors = _errors(found, numbers)
    if errors is None:
        return None
    enough = numbers[_quantiles(found, numbers, significance, power) * errors <= room]
    if len(enough):
        return int(enough[0])
    assert found.image_variance is not None
    variance = (room / (ndtri(power) - ndtri(significance / 2))) ** 2 - found.image_variance
    return math.ceil(_seed_variance(found) / variance) if variance > 0 else math.inf


def chance(found: Sequence[CrossedDifference], margin: float, num_seeds: int, *, significance: float) -> float | None:
    """At most so likely do `num_seeds` a side decide the claim that one is above each of several, from what is known
    now: seeds to come are like those that were seen, images stay. None where the noise of seeds is not known."""
    chances = [_chances(one, margin, num_seeds, significance) for one in found]
    known = [one for one in chances if one is not None]
    if len(known) < len(chances):
        return None
    return min(1.0, min(above for above, _ in known) + max(against for _, against in known))


def _chances(
    found: CrossedDifference, margin: float, num_seeds: int, significance: float
) -> tuple[float, float] | None:
    """Of a yes, and of one of the others."""
    numbers = np.array([num_seeds])
    errors = _errors(found, numbers)
    if errors is None:
        return None
    to_come = math.sqrt(max(0.0, _seed_variance(found) * (1 / found.num_seeds - 1 / num_seeds)))
    reach = float(_quantiles(found, numbers, significance, 0.5)[0] * errors[0])

    def below(bound: float) -> float:
        return float(ndtr((bound - found.difference) / to_come)) if to_come else float(found.difference < bound)

    inside = below(margin - reach) - below(reach - margin) if reach < margin else 0.0
    return 1 - below(max(reach, margin - reach)), below(min(-reach, reach - margin)) + inside


def _seed_variance(found: CrossedDifference) -> float:
    """Of the difference between one seed a side."""
    return sum(spread.variance or 0.0 for spread in found.spreads)


def _errors(found: CrossedDifference, num_seeds: np.ndarray) -> np.ndarray | None:
    if found.image_variance is None or not found.knows_seeds:
        return None
    return np.sqrt(_seed_variance(found) / num_seeds + found.image_variance)


def _quantiles(found: CrossedDifference, num_seeds: np.ndarray, significance: float, power: float) -> np.ndarray:
    """How many standard errors away from its bound a difference is told from it with `power`."""
    assert found.image_variance is not None  # by which the caller came here
    seeds = _seed_variance(found) / num_seeds
    sides = np.where(num_seeds >= PAIRED_FROM, 1, len(found.spreads))
    share = np.divide(seeds, seeds + found.image_variance, out=np.zeros_like(seeds), where=seeds > 0)
    freedom = np.divide(sides * (num_seeds - 1), share**2, out=np.full_like(share, np.inf), where=share > 0)
    return -stdtrit(freedom, significance / 2) + ndtri(power)
