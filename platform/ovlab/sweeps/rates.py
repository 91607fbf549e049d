"""Learning rates that a table leaves to images held out of the training set: none is typed by hand.

A row that names a table in `rate_by` is trained at the rate of that table's best row of its method and backbone, by the
first column. What was tried, and how it scored, are records of the store as all others.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from ovlab.methods.registry import training_of
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
        if not isinstance(row.run, Variation) or row.run.rate_by is None:
            return row
        rates = load_table(row.run.rate_by)
        tried: dict[float, float] = {}
        for run in (candidate.run for candidate in rates.rows):
            if isinstance(run, Variation) and (run.method, run.backbone) == (row.run.method, row.run.backbone):
                values = [score(rates, run, seed) for seed in rates.seeds]
                known = [value for value in values if value is not None]
                if len(known) < len(values):
                    return row
                tried[run.scaled["learning_rate"]] = fmean(known)
        if not tried:
            return row
        sign = -1 if SCORES[rates.columns[0].score].lower_is_better else 1
        best = max(tried, key=lambda rate: sign * tried[rate])
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
