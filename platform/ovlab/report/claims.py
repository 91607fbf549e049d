"""What became of each claim of a table: does its direction hold here, and is it larger than the noise?

A claim sets one row above others, in some columns. Its verdict is that on the mean advantage over its columns, so that
six small gains of one sign are evidence; beside it stands one of each column. Verdicts are those of metrics/verdict.py,
with the margin of the table, and two more:

- not measured: a score of ours or its noise is missing, or the other is a quoted one, which the miniature has not;
- not decided: limited run: one of the scores stands on fewer updates or images than the suite asks for.

A verdict is significant at 5 % after Holm: over the claims of the table, and within a claim over its columns. Both
kinds of noise count at once, images and seeds; with a single training a side, the claim is undecided. Against a quoted
score (paper suite only) there is the noise of the measured one alone.

Those of a table that was run until decided are in looks.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ovlab.metrics.crossed import CrossedDifference
from ovlab.metrics.verdict import SIGNIFICANCE, Verdict, seeds_needed, step_down, verdict_above_all, verdict_of
from ovlab.report.cells import Grid
from ovlab.report.differences import Compared, advantage
from ovlab.report.samples import Samples
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import PAPER
from ovlab.specs.table import Claim, Column
from ovlab.store.look_record import ClaimLook

LIMITED: Verdict = "not decided: limited run"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonView:
    """The row of a claim against row `worse`; None where nothing was tested."""

    worse: str
    advantage: CrossedDifference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnVerdict:
    column: str
    verdict: Verdict
    comparisons: tuple[ComparisonView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimView:
    """`verdict` and `comparisons` are those of all columns together. `published_holds`: whether the scores that the
    paper prints have the direction of the claim, in every column; None where they do not say. `margin`: a fraction.
    `need`: how many seeds a side would decide it, infinite where images are the limit; None for a claim that is
    decided or that has too little to say so. looks: those of `ovlab run --until-decided`, whose last verdict is
    `verdict`; next_look: the seeds at which the claim is looked at again."""

    text: str
    where: str
    better: str
    worse: tuple[str, ...]
    verdict: Verdict
    comparisons: tuple[ComparisonView, ...]
    columns: tuple[ColumnVerdict, ...]
    published_holds: bool | None
    margin: float
    need: int | float | None
    looks: tuple[ClaimLook, ...] = ()
    next_look: int | None = None

    @property
    def tested(self) -> list[CrossedDifference]:
        """All columns together."""
        return [view.advantage for view in self.comparisons if view.advantage is not None]


def claim_views(grid: Grid, samples: Samples) -> tuple[ClaimView, ...]:
    """In the order of the table."""
    claims, margin = grid.table.claims, grid.table.margin / 100
    pooled = [comparisons_of(claim, claim_columns(claim, grid), grid, samples) for claim in claims]
    verdicts = _verdicts(pooled, [_is_limited(claim, claim_columns(claim, grid), grid) for claim in claims], margin)
    return tuple(
        ClaimView(
            text=claim.text,
            where=claim.where,
            better=claim.better,
            worse=claim.worse,
            verdict=verdict,
            comparisons=comparisons,
            columns=_columns(claim, grid, samples),
            published_holds=holds_as_published(claim, grid),
            margin=margin,
            need=need_of(comparisons, margin, SIGNIFICANCE / len(claims)) if verdict == "undecided" else None,
        )
        for claim, comparisons, verdict in zip(claims, pooled, verdicts, strict=True)
    )


def claim_columns(claim: Claim, grid: Grid) -> list[Column]:
    """Those that it is about."""
    return [column for column in grid.table.columns if not claim.columns or column.title in claim.columns]


def _columns(claim: Claim, grid: Grid, samples: Samples) -> tuple[ColumnVerdict, ...]:
    columns = claim_columns(claim, grid)
    found = [comparisons_of(claim, [column], grid, samples) for column in columns]
    verdicts = _verdicts(found, [_is_limited(claim, [column], grid) for column in columns], grid.table.margin / 100)
    return tuple(
        ColumnVerdict(column=column.title, verdict=verdict, comparisons=comparisons)
        for column, verdict, comparisons in zip(columns, verdicts, found, strict=True)
    )


def _verdicts(found: Sequence[tuple[ComparisonView, ...]], limited: Sequence[bool], margin: float) -> list[Verdict]:
    """Of each, after Holm over those that were tested."""
    verdicts: list[Verdict] = [LIMITED if is_limited else "not measured" for is_limited in limited]
    tested = {index: known for index, views in enumerate(found) if (known := tested_of(views))}
    judges = [partial(verdict_above_all, known, margin) for known in tested.values()]
    for index, judged in zip(tested, step_down(judges, SIGNIFICANCE), strict=True):
        verdicts[index] = judged.verdict
    return verdicts


def tested_of(views: Sequence[ComparisonView]) -> list[CrossedDifference]:
    """The advantages over all the other rows; none where one of them, or its noise, is not known."""
    known = [view.advantage for view in views if view.advantage is not None and view.advantage.interval is not None]
    return known if len(known) == len(views) else []


def comparisons_of(claim: Claim, columns: Sequence[Column], grid: Grid, samples: Samples) -> tuple[ComparisonView, ...]:
    """The row of a claim against each of the others, in some of its columns together."""
    return tuple(
        ComparisonView(worse=worse, advantage=_advantage(claim.better, worse, columns, grid, samples))
        for worse in claim.worse
    )


def _advantage(
    better: str, worse: str, columns: Sequence[Column], grid: Grid, samples: Samples
) -> CrossedDifference | None:
    compared = [
        Compared(grid.cells[better, column.title], grid.cells[worse, column.title], column.score) for column in columns
    ]
    for one in compared:
        kinds = {one.first.origin, one.second.origin}
        if one.first.limits.text or one.second.limits.text:
            return None
        if kinds != {"measured"} and not (kinds == {"measured", "quoted"} and grid.suite == PAPER.name):
            return None
    return advantage(compared, samples)


def _is_limited(claim: Claim, columns: Sequence[Column], grid: Grid) -> bool:
    rows = (claim.better, *claim.worse)
    return any(grid.cells[row, column.title].limits.text for row in rows for column in columns)


def need_of(comparisons: Sequence[ComparisonView], margin: float, significance: float) -> int | float | None:
    """The most seeds that one of the comparisons needs which are not decided yet; see `ClaimView.need`."""
    needs = [
        seeds_needed(view.advantage, margin, significance=significance)
        for view in comparisons
        if view.advantage is not None and verdict_of(view.advantage, margin, significance) == "undecided"
    ]
    known = [need for need in needs if need is not None]
    return max(known) if known and len(known) == len(needs) else None


def holds_as_published(claim: Claim, grid: Grid) -> bool | None:
    """See `ClaimView.published_holds`."""
    holds = [
        better < worse if SCORES[column.score].lower_is_better else better > worse
        for column in claim_columns(claim, grid)
        for better, worse in _published(claim, column, grid)
    ]
    return all(holds) if holds else None


def _published(claim: Claim, column: Column, grid: Grid) -> Iterator[tuple[float, float]]:
    for worse in claim.worse:
        one, other = (grid.cells[key, column.title].published for key in (claim.better, worse))
        if one is not None and other is not None:
            yield one, other
