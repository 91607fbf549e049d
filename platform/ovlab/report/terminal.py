"""A table on a terminal: the details of a row below its name, the noise of a score below it, claims as a list, so that
six benchmarks stand beside one another in 60 columns."""

import io
import re
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ovlab.report.table_view import CellView, Part, RowView, TableView
from ovlab.report.text import (
    LIMITED,
    NOTHING,
    about_looks,
    beside,
    of_look,
    over_all_columns,
    percent,
    published_verdict,
    to_decide,
    verdict_by_column,
    verdict_of_look,
)

_STYLES = {"best": "bold", "second": "underline", None: ""}


def terminal(views: Sequence[TableView], *, width: int, colours: bool = True) -> str:
    """The views one below the other, in lines of at most `width` characters, with the codes of a terminal."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colours, highlight=False)
    for view in views:
        console.print(_view(view))
    return file.getvalue()


def _view(view: TableView) -> Group:
    parts: list[RenderableType] = [Text(view.title, style="bold")]
    parts += [Text(LIMITED, style="yellow")] if view.limits else []
    parts += [_part(part) for part in view.parts]
    parts += [Text(f"[{note.number}] {note.text}") for note in view.notes]
    parts += [Text(remark) for remark in view.remarks]
    for claim in view.claims:
        parts.append(Text(f"\n{claim.text} ({claim.where})"))
        told = f"as published: {published_verdict(claim)}; here: {claim.verdict}; in points: {over_all_columns(claim)}"
        told += f"\n{verdict_by_column(claim)}"
        if to_decide(claim) != NOTHING:
            told += f"\nto decide it: {to_decide(claim)}"
        told += "".join(
            f"\nat {look.num_seeds} seeds: {of_look(look)}: {verdict_of_look(look)}" for look in claim.looks
        )
        parts.append(Padding(Text(told.rstrip()), (0, 0, 0, 4)))
    parts += [Text(f"\n{about_looks(view)}")] if view.planned_looks else []
    return Group(*parts, "")


def _part(part: Part) -> Table:
    heading = Text(part.title, style="italic") if part.title else None
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("", overflow="fold")
    for column in part.columns:
        title = column.title.replace(" ", "\n") + _marks(column.footnotes)
        table.add_column(Text(title), justify="right", no_wrap=True)
    for group, rows in part.grouped():
        if group:
            table.add_row(Text(group, style="italic"))
        for row in rows:
            table.add_row(_name(row), *map(_cell, row.cells))
    return table


def _name(row: RowView) -> Text:
    details = ", ".join(detail for detail in row.details if detail)
    return Text.assemble(row.label + _marks(row.footnotes), (f"\n{details}" if details else "", "dim"))


def _cell(cell: CellView) -> Text:
    # "±0.4 (2 runs, s 0.1) Δ+0.3", a line each
    below = "".join(f"\n{part}" for part in re.split(r", | ?\(|\) ?", beside(cell)) if part)
    return Text.assemble((percent(cell.value), _STYLES[cell.mark]), _marks(cell.footnotes), (below, "dim"))


def _marks(footnotes: Sequence[int]) -> str:
    return f"[{','.join(map(str, footnotes))}]" if footnotes else ""
