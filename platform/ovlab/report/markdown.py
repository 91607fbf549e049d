"""A table in Markdown, as GitHub renders it: best bold, second underlined, footnotes below, the claims in a table."""

import re
from collections.abc import Sequence

from ovlab.report.table_view import CellView, Part, RowView, TableView
from ovlab.report.text import (
    LIMITED,
    LOOK_COLUMNS,
    about_looks,
    beside,
    look_rows,
    over_all_columns,
    percent,
    published_verdict,
    to_decide,
    verdict_by_column,
)

# Whatever Markdown or HTML would read as more than the character itself; an underscore within a word is not.
_SPECIAL = re.compile(r"([\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w))")

_CLAIM_COLUMNS = ("Claim", "Place", "As published", "Here", "All columns, in points", "By column", "To decide it")


def markdown(view: TableView) -> str:
    """The whole view, ending in a line break."""
    blocks = [f"## {_text(view.title)}"]
    blocks += [f"> {_text(LIMITED)}"] if view.limits else []
    for part in view.parts:
        blocks += [f"### {_text(part.title)}"] if part.title else []
        blocks.append(_part(part))
    blocks += [f"<sup>{note.number}</sup> {_text(note.text)}  " for note in view.notes]
    blocks += [_text(remark) for remark in view.remarks]
    if view.claims:
        blocks.append(_claims(view))
    if view.planned_looks:
        blocks += ["### Looks", _text(about_looks(view)), _looks(view)]
    return "\n\n".join(blocks) + "\n"


def _part(part: Part) -> str:
    names = ["", *map(_text, part.details)]
    scores = [_text(column.title) + _marks(column.footnotes) for column in part.columns]
    lines = [_line([*names, *scores]), _line(["---"] * len(names) + ["---:"] * len(scores))]
    for group, rows in part.grouped():
        if group:
            lines.append(_line([f"*{_text(group)}*"] + [""] * (len(names) + len(scores) - 1)))
        lines += [_line(_row(row)) for row in rows]
    return "\n".join(lines)


def _row(row: RowView) -> list[str]:
    return [_text(row.label) + _marks(row.footnotes), *map(_text, row.details), *map(_cell, row.cells)]


def _cell(cell: CellView) -> str:
    value = percent(cell.value)
    if cell.mark == "best":
        value = f"**{value}**"
    elif cell.mark == "second":
        value = f"<u>{value}</u>"
    return f"{value}{_marks(cell.footnotes)} {beside(cell)}".rstrip()


def _claims(view: TableView) -> str:
    lines = [_line(_CLAIM_COLUMNS), _line(["---"] * len(_CLAIM_COLUMNS))]
    for claim in view.claims:
        cells = (
            claim.text,
            claim.where,
            published_verdict(claim),
            claim.verdict,
            over_all_columns(claim),
            verdict_by_column(claim),
            to_decide(claim),
        )
        lines.append(_line([_text(cell) for cell in cells]))
    return "\n".join(lines)


def _looks(view: TableView) -> str:
    lines = [_line(LOOK_COLUMNS), _line(["---"] * len(LOOK_COLUMNS))]
    return "\n".join([*lines, *(_line([_text(cell) for cell in row]) for row in look_rows(view))])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marks(footnotes: Sequence[int]) -> str:
    return f"<sup>{','.join(map(str, footnotes))}</sup>" if footnotes else ""


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
