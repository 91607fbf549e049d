"""What a report comes to, for its first lines: how much is measured, methods beside one another, claims, cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

from ovlab.metrics.verdict import Verdict
from ovlab.report.claims import ClaimView
from ovlab.report.table_view import Part, TableView

_DECIDED: tuple[Verdict, ...] = ("yes", "no", "no relevant difference")


class Decided(NamedTuple):
    """A claim with a verdict, and the name of its table."""

    table: str
    claim: ClaimView


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """num_measured: figures of runs, in all tables. benchmarks: those with a figure. methods: what is measured of them,
    in parts as a table has them; missing: those without a figure, in words; command: what measures them. verdicts: how
    many claims have each, in the order of Verdict."""

    num_measured: int
    benchmarks: tuple[str, ...]
    methods: tuple[Part, ...]
    missing: tuple[str, ...]
    command: str
    verdicts: tuple[tuple[Verdict, int], ...]
    decided: tuple[Decided, ...]


def result_of(views: Sequence[TableView], methods: TableView | None) -> Result:
    """Of the tables of a report. methods: the view of the table that sets LoGoSeg beside CLIP alone and its rivals."""
    measured = [row for view in views for part in view.parts for row in part.rows if row.origin == "measured"]
    claims = [Decided(view.name, claim) for view in views for claim in view.claims]
    counted = Counter(found.claim.verdict for found in claims)
    parts = () if methods is None else methods.parts
    return Result(
        num_measured=sum(cell.origin == "measured" for row in measured for cell in row.cells),
        benchmarks=tuple(
            dict.fromkeys(
                column.title
                for view in views
                for part in view.parts
                for position, column in enumerate(part.columns)
                if any(row.cells[position].runs for row in part.rows)
            )
        ),
        methods=tuple(shown for part in parts if (shown := _measured_of(part)).rows),
        missing=tuple(
            f"{row.label} ({row.group})" if row.group else row.label
            for part in parts
            for row in part.rows
            if row.origin == "measured" and not row.is_made
        ),
        command="" if methods is None else methods.command,
        verdicts=tuple((verdict, counted[verdict]) for verdict in get_args(Verdict) if counted[verdict]),
        decided=tuple(found for found in claims if found.claim.verdict in _DECIDED),
    )


def _measured_of(part: Part) -> Part:
    """Its rows and columns that have a figure of a run."""
    rows = [row for row in part.rows if row.is_made]
    kept = [place for place in range(len(part.columns)) if any(row.cells[place].runs for row in rows)]
    return replace(
        part,
        details=(),
        columns=tuple(part.columns[place] for place in kept),
        rows=tuple(replace(row, details=(), cells=tuple(row.cells[place] for place in kept)) for row in rows),
    )
