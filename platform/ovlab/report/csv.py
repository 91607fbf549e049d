"""Tables as CSV, a line a cell, with nothing rounded: for a spreadsheet or a plot."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from ovlab.metrics.intervals import Interval
from ovlab.report.table_view import TableView

COLUMNS = (
    "table",
    "suite",
    "group",
    "row",
    "label",
    "column",
    "benchmark",
    "score",
    "origin",
    "value",
    "published",
    "delta",
    "mark",
    "image_low",
    "image_high",
    "seed_low",
    "seed_high",
    "seed_sd",
    "seeds",
    "values",
    "missing_seeds",
    "limit_steps",
    "limit_images",
    "trainings",
    "evaluations",
)


LOOK_COLUMNS = (
    "table",
    "suite",
    "better",
    "worse",
    "seeds",
    "difference",
    "low",
    "high",
    "significance",
    "nominal",
    "verdict",
    "chance",
)


def csv_text(views: Iterable[TableView]) -> str:
    """Fractions, not percent; an empty field where there is no score, and no limit. What there is of each run is
    joined by spaces, in the order of the seeds."""
    return _written(COLUMNS, (line for view in views for line in _lines(view)))


def looks_csv(view: TableView) -> str:
    """A line a comparison of each look at each claim, with the interval of the look; verdict and chance are those of
    the claim."""
    return _written(LOOK_COLUMNS, _look_lines(view))


def _written(columns: Sequence[str], lines: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _look_lines(view: TableView) -> Iterable[dict[str, Any]]:
    for claim in view.claims:
        for look in claim.looks:
            for one in look.comparisons:
                yield {
                    "table": view.name,
                    "suite": view.suite,
                    "better": claim.better,
                    "worse": one.worse,
                    "seeds": look.num_seeds,
                    "difference": one.difference,
                    "low": one.low,
                    "high": one.high,
                    "significance": look.significance,
                    "nominal": look.nominal,
                    "verdict": look.verdict,
                    "chance": look.chance,
                }


def _lines(view: TableView) -> Iterable[dict[str, Any]]:
    for part in view.parts:
        for row in part.rows:
            for column, cell in zip(part.columns, row.cells, strict=True):
                image_low, image_high = _bounds(cell.image_interval)
                seed_low, seed_high = _bounds(cell.seed_interval)
                yield {
                    "table": view.name,
                    "suite": view.suite,
                    "group": row.group,
                    "row": row.key,
                    "label": row.label,
                    "column": column.title,
                    "benchmark": column.benchmark,
                    "score": column.score,
                    "origin": cell.origin,
                    "value": cell.value,
                    "published": cell.published,
                    "delta": cell.delta,
                    "mark": cell.mark,
                    "image_low": image_low,
                    "image_high": image_high,
                    "seed_low": seed_low,
                    "seed_high": seed_high,
                    "seed_sd": cell.seed_sd,
                    "seeds": _joined(run.seed for run in cell.runs if run.seed is not None),
                    "values": _joined("nan" if run.value is None else run.value for run in cell.runs),
                    "missing_seeds": _joined(cell.missing_seeds),
                    "limit_steps": cell.limits.num_steps,
                    "limit_images": cell.limits.num_images,
                    "trainings": _joined(run.training for run in cell.runs),
                    "evaluations": _joined(run.evaluation for run in cell.runs),
                }


def _joined(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _bounds(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)
