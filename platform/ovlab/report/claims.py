"""What became of each claim of a table: does its direction hold here, and is it larger than the noise?

A claim sets one row above others, in some columns. Each pair of rows in a column is one comparison:

- yes: the row is above the other, and the difference is significant;
- no: it is below the other, and that is significant;
- within noise: the difference, whatever its sign, is not significant;
- not measured: a score of ours or its noise is missing, or the other is a quoted one, which the miniature has not;
- not decided: limited run: one of the scores stands on fewer updates or images than the suite asks for.

Significant: the p-value is at most 5 % after Holm's correction over all comparisons of the table, each counted once.
It is the larger of two p-values that are kept apart: of the paired bootstrap over the same images, and of Welch's test
over seeds. With fewer than three seeds a side there is only the first, and the verdict says so: another training might
turn it round. Against a quoted score (paper suite only) it is the noise of the measured one over images alone.

A claim in one column, and over its columns: "no" where one comparison is, else "not measured" or "not decided" where
one is, else "yes" where all are, else "within noise".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ovlab.metrics.multiple import holm
from ovlab.report.cells import Grid
from ovlab.report.differences import Advantage, advantage
from ovlab.report.samples import Samples
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import PAPER
from ovlab.specs.table import Claim, Column

Verdict = Literal["yes", "no", "within noise", "not measured", "not decided: limited run"]

SIGNIFICANCE = 0.05

_LIMITED: Verdict = "not decided: limited run"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonView:
    """Row `better` against row `worse` in one column. `p_value` is corrected; None where nothing was tested."""

    better: str
    worse: str
    column: str
    verdict: Verdict
    advantage: Advantage | None
    p_value: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnVerdict:
    column: str
    verdict: Verdict
    comparisons: tuple[ComparisonView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimView:
    """`published_holds`: whether the scores that the paper prints have the direction of the claim, in every column;
    None where they do not say. `noise`: what the verdict was held against."""

    text: str
    where: str
    better: str
    worse: tuple[str, ...]
    verdict: Verdict
    columns: tuple[ColumnVerdict, ...]
    published_holds: bool | None
    noise: Literal["images and seeds", "images only", None]


class _Pair(NamedTuple):
    better: str
    worse: str
    column: str


def claim_views(grid: Grid, samples: Samples) -> tuple[ClaimView, ...]:
    """In the order of the table."""
    pairs = dict.fromkeys(pair for claim in grid.table.claims for pair in _pairs(claim, grid))
    columns = {column.title: column for column in grid.table.columns}
    advantages = {pair: _advantage(pair, columns[pair.column], grid, samples) for pair in pairs}
    p_values = {pair: found.p_value for pair, found in advantages.items() if found is not None}
    tested = {pair: p_value for pair, p_value in p_values.items() if p_value is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    comparisons = {
        pair: ComparisonView(
            **pair._asdict(),
            verdict=_LIMITED if _is_limited(pair, grid) else _verdict(found, corrected.get(pair)),
            advantage=found,
            p_value=corrected.get(pair),
        )
        for pair, found in advantages.items()
    }
    return tuple(_claim_view(claim, grid, comparisons) for claim in grid.table.claims)


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """What several comparisons say of the claim that all of them hold."""
    found = set(verdicts)
    decisive: tuple[Verdict, ...] = ("no", "not measured", _LIMITED, "within noise")
    return next((verdict for verdict in decisive if verdict in found), "yes")


def _claim_view(claim: Claim, grid: Grid, comparisons: dict[_Pair, ComparisonView]) -> ClaimView:
    by_column: dict[str, list[ComparisonView]] = {}
    for pair in _pairs(claim, grid):
        by_column.setdefault(pair.column, []).append(comparisons[pair])
    columns = tuple(
        ColumnVerdict(column=title, verdict=combined(view.verdict for view in views), comparisons=tuple(views))
        for title, views in by_column.items()
    )
    return ClaimView(
        text=claim.text,
        where=claim.where,
        better=claim.better,
        worse=claim.worse,
        verdict=combined(column.verdict for column in columns),
        columns=columns,
        published_holds=_published_holds(claim, grid),
        noise=_noise(view for views in by_column.values() for view in views),
    )


def _pairs(claim: Claim, grid: Grid) -> list[_Pair]:
    titles = claim.columns or tuple(column.title for column in grid.table.columns)
    return [_Pair(claim.better, worse, title) for title in titles for worse in claim.worse]


def _advantage(pair: _Pair, column: Column, grid: Grid, samples: Samples) -> Advantage | None:
    better, worse = grid.cells[pair.better, pair.column], grid.cells[pair.worse, pair.column]
    kinds = {better.origin, worse.origin}
    if _is_limited(pair, grid):
        return None
    if kinds == {"measured"} or (kinds == {"measured", "quoted"} and grid.suite == PAPER.name):
        return advantage(better, worse, column.score, samples)
    return None


def _is_limited(pair: _Pair, grid: Grid) -> bool:
    return any(grid.cells[key, pair.column].limits.text for key in (pair.better, pair.worse))


def _verdict(found: Advantage | None, p_value: float | None) -> Verdict:
    if found is None or p_value is None:
        return "not measured"
    if p_value > SIGNIFICANCE or found.value == 0:
        return "within noise"
    return "yes" if found.value > 0 else "no"


def _published_holds(claim: Claim, grid: Grid) -> bool | None:
    lower = {column.title for column in grid.table.columns if SCORES[column.score].lower_is_better}
    holds = []
    for pair in _pairs(claim, grid):
        better, worse = (grid.cells[key, pair.column].published for key in (pair.better, pair.worse))
        if better is not None and worse is not None:
            holds.append(better < worse if pair.column in lower else better > worse)
    return all(holds) if holds else None


def _noise(views: Iterable[ComparisonView]) -> Literal["images and seeds", "images only", None]:
    tested = [view.advantage for view in views if view.advantage is not None and view.p_value is not None]
    if not tested:
        return None
    return "images and seeds" if all(found.seed_p_value is not None for found in tested) else "images only"
