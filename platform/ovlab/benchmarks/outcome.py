"""How every benchmark speaks: a table for people, then one line of JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from ovlab.report.fitted_table import print_table

Value = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was compared: one mapping a row, all with the same keys; `context` says sizes, threads and device."""

    name: str
    title: str
    rows: Sequence[Mapping[str, Value]]
    context: Mapping[str, Value] = field(default_factory=dict)


def print_report(report: Report) -> None:
    """Print the table and, as the last line, the whole report as one JSON document."""
    table = Table(title=report.title, caption=", ".join(f"{key} {value}" for key, value in report.context.items()))
    for index, column in enumerate(report.rows[0]):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in report.rows:
        table.add_row(*(_text(value) for value in row.values()))
    print_table(table)
    print_json(report)


def print_json(report: Report) -> None:
    """The whole report as one line of JSON."""
    print(
        json.dumps({"benchmark": report.name, "context": dict(report.context), "rows": [dict(r) for r in report.rows]})
    )


def _text(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
