"""Seeds until the claims of a table are settled: what each look at them says, and which seeds the next one needs.

Looks are planned in advance, after so many seeds of each row: the first seeds of the table, in its order. At each, a
claim that is still open is tested at the level that metrics/sequential.py leaves to the look, of the share of 5 % that
Holm's correction leaves to the claim: Holm's steps go on within a look and from look to look (Maurer and Bretz, Stat.
Biopharm. Res. 5, 2013). All claims that can be tested have a share from the beginning, those also that are given up.
All three verdicts follow from one interval, so that "no relevant difference" costs no error of its own. Columns are
tested alike within their claim. What is decided is not looked at again, whatever comes later.

A claim is given up as futile when the seeds that are planned would hardly decide it, even at all of the 5 %. That
decides nothing, so it costs no error either.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count, islice
from typing import Literal

from ovlab.metrics.crossed import CrossedDifference
from ovlab.metrics.sequential import LOOKS, nominal_levels, planned_looks
from ovlab.metrics.verdict import DECIDED, SIGNIFICANCE, Judged, Verdict, chance, step_down, verdict_above_all
from ovlab.report.cells import CellRun, Grid, Records, cells_of
from ovlab.report.claims import (
    ClaimView,
    ColumnVerdict,
    ComparisonView,
    claim_columns,
    comparisons_of,
    holds_as_published,
    need_of,
    tested_of,
)
from ovlab.report.samples import Samples
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.suite import PAPER, Suite
from ovlab.specs.table import Alone, Claim, Column, Table, Variation
from ovlab.store.look_record import ClaimLook, ComparisonLook, LookRecord, place_of_looks, read_looks
from ovlab.store.store import Store

State = Literal["decided", "open", "futile", "undecided at the last look", "not measured"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    """What the claims of a table ask, without the words."""

    suite: str
    margin: float
    claims: tuple[Claim, ...]
    columns: tuple[Column, ...]
    rows: Mapping[str, Variation | Alone | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A table that is run until its claims are decided, and the looks that were taken at it."""

    table: Table
    suite: Suite
    record: LookRecord

    @property
    def testable(self) -> tuple[int, ...]:
        """The claims, by position, of which both sides can be measured here."""
        return tuple(i for i, claim in enumerate(self.table.claims) if _is_testable(claim, self.table, self.suite))

    @property
    def open_claims(self) -> tuple[int, ...]:
        """Those that are looked at again, once their runs are there."""
        looks = {position: self.record.of_claim(position) for position in self.testable}
        return tuple(position for position, found in looks.items() if not found or found[-1].is_open)

    def next_look(self, position: int) -> int:
        """The seeds at which an open claim is looked at: a claim whose runs have failed misses no look by that."""
        last = max((look.num_seeds for look in self.record.of_claim(position)), default=0)
        return min(number for number in self.record.planned if number > last)

    @property
    def seeds_by_row(self) -> dict[str, tuple[int, ...]]:
        """What was looked at of each row that was."""
        return self.seeds_for([], 0)

    def seeds_for(self, claims: Iterable[int], number: int) -> dict[str, tuple[int, ...]]:
        """The same, and what a look after `number` seeds at these claims, by position, needs."""
        wanted = [(look.claim, look.num_seeds) for look in self.record.looks]
        most: dict[str, int] = {}
        for position, seeds in (*wanted, *((position, number) for position in claims)):
            for row in rows_of([self.table.claims[position]]):
                most[row] = max(seeds, most.get(row, 0))
        return {row: seeds_of(self.table, seeds) for row, seeds in most.items()}

    def state(self, position: int) -> State:
        """Of a claim, after its last look."""
        if position not in self.testable:
            return "not measured"
        if position in self.open_claims:
            return "open"
        last = self.record.of_claim(position)[-1:]
        if not last or last[0].verdict == "not measured":
            return "not measured"
        if last[0].verdict in DECIDED:
            return "decided"
        return "futile" if last[0].is_futile else "undecided at the last look"


def seeds_of(table: Table, number: int) -> tuple[int, ...]:
    """The first seeds: those of the table in its order, then the smallest others."""
    others = (seed for seed in count() if seed not in table.seeds)
    return tuple(islice(chain(table.seeds, others), number))


def new_study(table: Table, suite: Suite, store: Store, max_seeds: int | None) -> Study:
    """That of `store`, or one that begins now, with `max_seeds` or 20.

    Raises InputError for a table without a claim that can be tested, another `max_seeds` than was planned where looks
    are taken, and DamagedError for a damaged record.
    """
    planned = LOOKS if max_seeds is None else planned_looks(max_seeds)
    study = stored_study(table, suite, store)
    if study is None:
        record = LookRecord(suite=suite.name, table=table.name, planned=planned, question=_question(table, suite))
        study = Study(table=table, suite=suite, record=record)
    elif max_seeds is not None and planned != study.record.planned:
        if study.record.looks:
            most = study.record.planned[-1]
            taken = sorted({look.num_seeds for look in study.record.looks})
            raise InputError(
                f"--max-seeds {max_seeds}: {table.name} was looked at after {_listed(taken)} seeds by a "
                f"plan for {most}; another number changes what its looks have spent. Give --max-seeds {most}, or none."
            )
        study = replace(study, record=replace(study.record, planned=planned))
    if not study.testable:
        raise InputError(f"{table.name}: has no claim whose rows can be measured in the suite {suite.name}.")
    return study


def stored_study(table: Table, suite: Suite, store: Store) -> Study | None:
    """None for a table that was never run until decided. Raises InputError where its looks asked something else, and
    DamagedError for a damaged record."""
    record = read_looks(store, suite.name, table.name)
    if record is None:
        return None
    if record.question != _question(table, suite):
        raise InputError(
            f"{table.name}: other claims, rows or another margin were looked at than the table has now "
            f"({store.folder.locate(place_of_looks(suite.name, table.name))}). Undo the change, or rename the table."
        )
    return Study(table=table, suite=suite, record=record)


def take_look(study: Study, positions: Sequence[int], number: int, records: Records, store: Store) -> Study:
    """The same with a look after `number` seeds at those of these claims all of whose runs are there.

    Raises InputError where runs of earlier looks were replaced, and as `cells_of` does.
    """
    table = replace(study.table, seeds=seeds_of(study.table, number))
    grid = cells_of(table, study.suite, records)
    samples = Samples(store, {column.score for column in table.columns})
    claims = {position: table.claims[position] for position in positions}
    samples.prepare(run.evaluation for claim in claims.values() for run in _runs(claim, grid))
    whole = {position: claim for position, claim in claims.items() if _is_whole(claim, grid, samples)}
    for position, claim in whole.items():
        for look in study.record.of_claim(position)[-1:]:
            if look.runs != _digest(claim, _first(grid, seeds_of(table, look.num_seeds))):
                file = place_of_looks(study.suite.name, table.name)
                raise InputError(
                    f"{table.name}: its look at {look.num_seeds} seeds stands on other runs than the store has now, as "
                    f"of another version of the code or of the data. Take {file} out of the store to begin anew."
                )
    looks = _looks(study, number, whole, grid, samples)
    return replace(study, record=replace(study.record, looks=(*study.record.looks, *looks)))


def looked_views(study: Study, grid: Grid, samples: Samples) -> tuple[ClaimView, ...]:
    """The claims of the table in its order, with the verdicts of their last looks: none is tested again. `grid` has the
    seeds that were looked at. A claim whose runs are others now is named in a warning, and not measured."""
    return tuple(_view(study, position, grid, samples) for position in range(len(study.table.claims)))


def _looks(
    study: Study, number: int, whole: Mapping[int, Claim], grid: Grid, samples: Samples
) -> tuple[ClaimLook, ...]:
    planned, margin = study.record.planned, study.table.margin / 100
    nominal = partial(_nominal, planned, number)
    tested = {
        position: tested_of(comparisons_of(claim, claim_columns(claim, grid), grid, samples))
        for position, claim in whole.items()
    }
    measured = {position: found for position, found in tested.items() if found}
    settled = [
        position
        for position in study.testable
        for look in study.record.of_claim(position)[-1:]
        if look.verdict in DECIDED
    ]
    judges = [partial(verdict_above_all, found, margin, nominal=nominal) for found in measured.values()]
    num_others = len(study.testable) - len(settled) - len(judges)
    judged = dict(zip(measured, step_down(judges, SIGNIFICANCE, num_others=num_others), strict=True))
    looks = []
    for position, claim in whole.items():
        verdict, significance = judged.get(position, Judged("not measured", SIGNIFICANCE))
        level, found = nominal(significance), measured.get(position, [])
        has_next = verdict == "undecided" and number < planned[-1]
        looks.append(
            ClaimLook(
                claim=position,
                num_seeds=number,
                verdict=verdict,
                significance=significance,
                nominal=level,
                comparisons=tuple(
                    ComparisonLook(worse=worse, difference=one.difference, low=interval.low, high=interval.high)
                    for worse, one in zip(claim.worse, found, strict=bool(found))
                    if (interval := one.interval_missing(level)) is not None
                ),
                columns=_columns(study, position, nominal, grid, samples),
                chance=_chance_at_the_end(found, margin, planned) if has_next else None,
                runs=_digest(claim, grid),
            )
        )
    return tuple(looks)


def _nominal(planned: tuple[int, ...], number: int, error: float) -> float:
    return nominal_levels(planned, error)[planned.index(number)]


def _chance_at_the_end(found: Sequence[CrossedDifference], margin: float, planned: tuple[int, ...]) -> float | None:
    return chance(found, margin, planned[-1], significance=_nominal(planned, planned[-1], SIGNIFICANCE))


def _columns(
    study: Study, position: int, nominal: Callable[[float], float], grid: Grid, samples: Samples
) -> dict[str, Verdict]:
    """The verdicts on the columns of a claim; what an earlier look decided stands."""
    claim, margin = study.table.claims[position], study.table.margin / 100
    columns = claim_columns(claim, grid)
    verdicts: dict[str, Verdict] = {column.title: "not measured" for column in columns}
    for look in study.record.of_claim(position)[-1:]:
        verdicts |= {title: verdict for title, verdict in look.columns.items() if verdict in DECIDED}
    undecided = [column for column in columns if verdicts[column.title] not in DECIDED]
    tested = {column.title: tested_of(comparisons_of(claim, [column], grid, samples)) for column in undecided}
    measured = {title: found for title, found in tested.items() if found}
    judges = [partial(verdict_above_all, found, margin, nominal=nominal) for found in measured.values()]
    judged = step_down(judges, SIGNIFICANCE, num_others=len(undecided) - len(judges))
    return verdicts | {title: one.verdict for title, one in zip(measured, judged, strict=True)}


def _view(study: Study, position: int, grid: Grid, samples: Samples) -> ClaimView:
    claim, looks = study.table.claims[position], study.record.of_claim(position)
    verdict: Verdict = "undecided" if position in study.testable else "not measured"
    comparisons: tuple[ComparisonView, ...] = ()
    columns: tuple[ColumnVerdict, ...] = ()
    if looks:
        verdict, there = looks[-1].verdict, _first(grid, seeds_of(study.table, looks[-1].num_seeds))
        if _digest(claim, there) != looks[-1].runs:
            _log.warning(
                "%s: %r was looked at with other runs than the store has now; it counts as not measured. Take %s out "
                "of the store and run the table until it is decided anew.",
                study.table.name,
                claim.text,
                place_of_looks(study.suite.name, study.table.name),
            )
            verdict, looks = "not measured", ()
        else:
            comparisons = comparisons_of(claim, claim_columns(claim, there), there, samples)
            columns = tuple(
                ColumnVerdict(
                    column=column.title,
                    verdict=looks[-1].columns[column.title],
                    comparisons=comparisons_of(claim, [column], there, samples),
                )
                for column in claim_columns(claim, there)
            )
    return ClaimView(
        text=claim.text,
        where=claim.where,
        better=claim.better,
        worse=claim.worse,
        verdict=verdict,
        comparisons=comparisons,
        columns=columns,
        published_holds=holds_as_published(claim, grid),
        margin=study.table.margin / 100,
        need=need_of(comparisons, study.table.margin / 100, looks[-1].significance)
        if looks and verdict == "undecided"
        else None,
        looks=looks,
        next_look=study.next_look(position) if position in study.open_claims else None,
    )


def _is_testable(claim: Claim, table: Table, suite: Suite) -> bool:
    """Against a quoted score in the suite `paper` alone, see claims.py."""
    has_run = {row.key: row.run is not None for row in table.rows}
    pairs = [(has_run[claim.better], has_run[worse]) for worse in claim.worse]
    return all(any(pair) if suite == PAPER else all(pair) for pair in pairs)


def _is_whole(claim: Claim, grid: Grid, samples: Samples) -> bool:
    """Whether every seed of every row is there, with counts that can be read."""
    cells = [grid.cells[row, column.title] for row in rows_of([claim]) for column in claim_columns(claim, grid)]
    ours = [cell for cell in cells if cell.origin != "quoted"]
    return not any(cell.missing_seeds for cell in ours) and all(
        samples.of(run.evaluation) is not None or run.evaluation.figures.get("num_images") == 1
        for cell in ours
        for run in cell.runs
    )


def _first(grid: Grid, seeds: Sequence[int]) -> Grid:
    """The cells with these seeds of their runs."""
    cells = {
        place: replace(cell, runs=tuple(run for run in cell.runs if run.seed in seeds))
        for place, cell in grid.cells.items()
    }
    return replace(grid, cells=cells)


def _runs(claim: Claim, grid: Grid) -> list[CellRun]:
    cells = [grid.cells[row, column.title] for row in rows_of([claim]) for column in claim_columns(claim, grid)]
    return [run for cell in cells for run in cell.runs]


def _digest(claim: Claim, grid: Grid) -> str:
    return fingerprint([run.evaluation.fingerprint for run in _runs(claim, grid)])


def rows_of(claims: Iterable[Claim]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row for claim in claims for row in (claim.better, *claim.worse)))


def _question(table: Table, suite: Suite) -> str:
    rows = rows_of(table.claims)
    return fingerprint(
        _Question(
            suite=suite.name,
            margin=table.margin,
            claims=tuple(replace(claim, text="", where="") for claim in table.claims),
            columns=table.columns,
            rows={row.key: row.run for row in table.rows if row.key in rows},
        )
    )


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))
