"""Learning rates that a table leaves to images held out of the training set: none is typed by hand.

A row that names a table in `rate_by` is trained at the rate of that table's best row of its method and backbone, by the
first column. Until all of those are measured it waits for them, and a plan makes them first. What was tried, and how it
scored, are records of the store as all others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from ovlab.methods.registry import training_of
from ovlab.specs.errors import InputError
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import Suite
from ovlab.specs.table import Row, Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.store.record import EvaluationRecord, TrainingRecord


def with_chosen_rates(
    table: Table,
    suite: Suite,
    trainings: Sequence[TrainingRecord],
    evaluations: Sequence[EvaluationRecord],
    *,
    limit_steps: int | None = None,
    limit_images: int | None = None,
) -> Table:
    """The table with the rates that these records choose. A row whose candidates are not all measured, with the same
    limits, is left as it is. Raises InputError for a table in `rate_by` that there is not."""

    def chosen(row: Row) -> Row:
        if (name := awaits(row)) is None:
            return row
        rates = load_table(name)
        tried: dict[float, float] = {}
        for candidate in _candidates(rates, row):
            run = candidate.run
            assert isinstance(run, Variation)
            values = [score(rates, run, seed) for seed in rates.seeds]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return row
            tried[run.scaled["learning_rate"]] = fmean(known)
        if not tried:
            return row
        sign = -1 if SCORES[rates.columns[0].score].lower_is_better else 1
        best = max(tried, key=lambda rate: sign * tried[rate])
        assert isinstance(row.run, Variation)
        run = replace(row.run, scaled={**row.run.scaled, "learning_rate": best}, rate_by=None)
        return replace(row, run=run)

    def score(rates: Table, run: Variation, seed: int) -> float | None:
        column = rates.columns[0]
        spec = training_of(run, suite, seed, limit_steps=limit_steps)
        protocol = run.protocol(suite, spec.model, column.protocol)
        subjects = {record.fingerprint for record in trainings if record.training.spec == spec}
        found = [
            record
            for record in evaluations
            if record.evaluation.subject in subjects
            and record.evaluation.benchmark == suite.benchmark(column.benchmark)
            and record.evaluation.split == column.split
            and record.is_limited_to(limit_images)
            and replace(record.evaluation.protocol, scoring=protocol.scoring) == protocol
        ]
        return max(found, key=lambda record: record.finished).figures.get(column.score) if found else None

    return replace(table, rows=tuple(map(chosen, table.rows)))


def awaits(row: Row) -> str | None:
    """The table that is to choose its learning rate, where none is chosen yet."""
    return row.run.rate_by if isinstance(row.run, Variation) else None


def awaited(rows: Iterable[Row]) -> list[Table]:
    """The tables that waiting rows name, each with the candidates of those rows alone. Raises InputError for a table
    that there is not, and for one that has no candidate for a row."""
    tables: dict[str, Table] = {}
    keys: dict[str, set[str]] = {}
    for row in rows:
        if (name := awaits(row)) is None:
            continue
        rates = tables.setdefault(name, load_table(name))
        found = {candidate.key for candidate in _candidates(rates, row)}
        if not found:
            raise InputError(
                f"row {row.key!r}: {name} tries no learning rate of its method and backbone; add rows of it there, or "
                f"give the row a rate of its own."
            )
        keys.setdefault(name, set()).update(found)
    return [
        replace(table, rows=tuple(row for row in table.rows if row.key in keys[name]), claims=(), notes=())
        for name, table in tables.items()
    ]


def _candidates(rates: Table, row: Row) -> list[Row]:
    """The rows of `rates` that try a rate of the method and backbone of `row`."""
    assert isinstance(row.run, Variation)
    wanted = (row.run.method, row.run.backbone)
    return [
        candidate
        for candidate in rates.rows
        if isinstance(candidate.run, Variation) and (candidate.run.method, candidate.run.backbone) == wanted
    ]
