"""By how much one cell is better than another of its column, and how far that is known.

Two kinds of noise, kept apart: of sampling images, by the paired bootstrap on the same images, and of training, by
Welch's test over seeds where both cells have at least three. A quoted score has neither: beside one, the noise is
that of the measured cell over images alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from ovlab.metrics.intervals import Interval, interval_about
from ovlab.metrics.paired import p_value
from ovlab.metrics.seeds import SeedDifference, seed_difference
from ovlab.report.cells import Cell
from ovlab.report.samples import Samples
from ovlab.specs.scores import SCORES


@dataclass(frozen=True, slots=True)
class Advantage:
    """`value`: first - second as a fraction, or second - first for a score of which less is better. The intervals
    (95 %) are of `value`; None, as the p-value beside it, where that noise is not known."""

    value: float
    image_interval: Interval | None
    image_p_value: float | None
    seed_interval: Interval | None
    seed_p_value: float | None

    @property
    def p_value(self) -> float | None:
        """The larger one, because a difference has to stand out from both kinds of noise."""
        return max((p for p in (self.image_p_value, self.seed_p_value) if p is not None), default=None)

    @property
    def is_within_noise(self) -> bool:
        """Whether one of the intervals holds zero; where there is none, whether the two are equal."""
        intervals = [interval for interval in (self.image_interval, self.seed_interval) if interval is not None]
        return any(low <= 0 <= high for low, high in intervals) if intervals else self.value == 0


def advantage(first: Cell, second: Cell, score: str, samples: Samples) -> Advantage | None:
    """Of the first cell over the second, both of one column; None where one of them has no value."""
    if first.value is None or second.value is None:
        return None
    sign = -1 if SCORES[score].lower_is_better else 1
    value = sign * (first.value - second.value)
    resampled = _resampled(first, second, score, samples)
    defined = None if resampled is None else sign * resampled[~np.isnan(resampled)]
    seeds = _over_seeds(first, second, sign)
    return Advantage(
        value=value,
        image_interval=None if defined is None else interval_about(value, defined),
        image_p_value=None if defined is None or not len(defined) else p_value(value, defined),
        seed_interval=seeds.interval,
        seed_p_value=seeds.p_value,
    )


def _resampled(first: Cell, second: Cell, score: str, samples: Samples) -> Float64[np.ndarray, "B"] | None:
    """First - second of each resample; None where a measured cell has none, and for two quoted ones."""
    if not first.runs and not second.runs:
        return None
    sides = [samples.of_cell(cell, score) if cell.runs else cell.value for cell in (first, second)]
    return None if sides[0] is None or sides[1] is None else np.asarray(sides[0] - sides[1])


def _over_seeds(first: Cell, second: Cell, sign: int) -> SeedDifference:
    better, worse = (
        {run.seed: sign * run.value for run in cell.runs if run.value is not None} for cell in (first, second)
    )
    return seed_difference(worse, better) if better and worse else SeedDifference(0.0, None, None)
