"""By how much one row is better than another, in one column or on average over several, and how far that is known.

Every noise there is counts at once: seeds, and images (metrics/crossed.py). Over several columns it is the mean
advantage, seed by seed and resample by resample, so that what columns have in common is not taken for evidence:
benchmarks on the same photographs move together. A quoted score has no noise, nor a subject that is not trained any of
seeds.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ovlab.metrics.crossed import CrossedDifference, Side, difference_of
from ovlab.report.cells import Cell
from ovlab.report.samples import Samples
from ovlab.specs.scores import SCORES


class Compared(NamedTuple):
    """Two cells of one column, by its score."""

    first: Cell
    second: Cell
    score: str


def advantage(columns: Sequence[Compared], samples: Samples) -> CrossedDifference | None:
    """Of the first cells over the second, as a fraction; turned round for a score of which less is better. None where a
    cell has no value, or two columns no seed in common."""
    places = _places(columns, samples)
    better = _side([(column.first, column.score) for column in columns], places, samples)
    worse = _side([(column.second, column.score) for column in columns], places, samples)
    return None if better is None or worse is None else difference_of(worse, better)


def is_within_noise(found: CrossedDifference) -> bool:
    """Whether the interval holds zero; where there is none, whether the two are equal."""
    return found.difference == 0 if found.interval is None else found.interval.low <= 0 <= found.interval.high


def _places(columns: Sequence[Compared], samples: Samples) -> list[Hashable]:
    """The photographs of each column."""
    found: list[Hashable] = []
    for column in columns:
        runs = column.first.runs or column.second.runs
        known = [run.evaluation for run in runs if samples.of(run.evaluation) is not None]
        found.append(samples.photographs(known[0]) if known else None)
    return found


def _side(cells: Sequence[tuple[Cell, str]], places: Sequence[Hashable], samples: Samples) -> Side | None:
    if any(cell.value is None for cell, _ in cells):
        return None
    values = [_values(cell) for cell, _ in cells]
    seeds = [seed for seed in values[0] if all(seed in others for others in values)]
    if not seeds:
        return None
    signs = [-1 if SCORES[score].lower_is_better else 1 for _, score in cells]
    scores = {seed: float(np.mean([s * found[seed] for s, found in zip(signs, values, strict=True)])) for seed in seeds}
    moved = {place: np.zeros((len(seeds), 1)) for place in places}
    for (cell, score), sign, place in zip(cells, signs, places, strict=True):
        moved[place] = moved[place] + sign * _deviations(cell, score, seeds, samples) / len(cells)
    is_trained = all(run.training is not None for cell, _ in cells for run in cell.runs) and bool(cells[0][0].runs)
    return Side(scores, tuple(moved.values()), is_trained)


def _values(cell: Cell) -> dict[int, float]:
    """By seed; a quoted score has none and goes by 0."""
    if not cell.runs:
        return {} if cell.value is None else {0: cell.value}
    return {run.seed: run.value for run in cell.runs if run.value is not None}


def _deviations(cell: Cell, score: str, seeds: Sequence[int], samples: Samples) -> Float64[np.ndarray, "S _"]:
    """NaN where they are not known."""
    if not cell.runs:
        return np.zeros((1, 1))
    found = samples.deviations([run for run in cell.runs if run.seed in seeds], score)
    return np.full((len(seeds), 1), np.nan) if found is None else found
