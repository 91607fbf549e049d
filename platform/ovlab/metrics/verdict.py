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
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from ovlab.metrics.crossed import PAIRED_FROM, CrossedDifference

Verdict = Literal["yes", "no", "no relevant difference", "undecided", "not measured", "not decided: limited run"]

SIGNIFICANCE = 0.05
POWER = 0.8
# Whoever needs more will not train them.
MOST_SEEDS = 1000


def verdict_of(found: CrossedDifference, margin: float, significance: float) -> Verdict:
    """Of one difference, positive where the claim is right."""
    interval = found.interval_at(1 - significance)
    if interval is None:
        return "not measured"
    if not found.knows_seeds:
        return "undecided"
    if -margin < interval.low and interval.high < margin:
        return "no relevant difference"
    return "yes" if interval.low > 0 else "no" if interval.high < 0 else "undecided"


def verdict_above_all(found: Sequence[CrossedDifference], margin: float, significance: float) -> Verdict:
    """Of the claim that one is above each of several: it takes all of them to be a yes. One that is not above is
    enough against it, for which each is tested at its share of the significance."""
    verdicts = [verdict_of(one, margin, significance) for one in found]
    if "not measured" in verdicts:
        return "not measured"
    if set(verdicts) == {"yes"}:
        return "yes"
    against = [verdict_of(one, margin, significance / len(found)) for one in found]
    decisive: tuple[Verdict, ...] = ("no", "no relevant difference")
    return next((verdict for verdict in decisive if verdict in against), "undecided")


def step_down(judges: Sequence[Callable[[float], Verdict]], significance: float) -> list[Verdict]:
    """The verdicts of several claims, each a function of its significance, after Holm: all are held against their
    share; as soon as some are decided, the others have larger shares. One that is false comes with probability
    `significance` at most, whatever the claims have in common."""
    verdicts: list[Verdict] = ["undecided"] * len(judges)
    undecided = list(range(len(judges)))
    while undecided:
        found = {index: judges[index](significance / len(undecided)) for index in undecided}
        decided = [index for index in undecided if found[index] != "undecided"]
        if not decided:
            break
        for index in decided:
            verdicts[index] = found[index]
        undecided = [index for index in undecided if index not in decided]
    return verdicts


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
    numbers = np.arange(2, MOST_SEEDS + 1)
    errors = _errors(found, numbers)
    if errors is None:
        return None
    enough = numbers[_quantiles(found, numbers, significance, power) * errors <= room]
    return int(enough[0]) if len(enough) else math.inf


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
