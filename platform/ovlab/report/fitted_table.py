"""A table of rich on a terminal of any width, and in a pipe, with no word and no number cut.

Where all columns fit, they stand beside one another, broken at spaces as far as need be; where they do not, each row is
a list of its own, as a database shell shows it. Without a terminal no line is broken.
"""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text


def print_table(table: Table) -> None:
    """On standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(Measurement.get(console, console.options.update_width(10**4), table).maximum, 80))
    fitted = _fitted(table, console)
    if fitted is not None:
        console.print(fitted)
        return
    if table.title:
        console.print(table.title, style="italic")
    for number in range(table.row_count):
        console.print(_listed(table, number), "")
    if table.caption:
        console.print(table.caption, style="dim")


def _fitted(table: Table, console: Console) -> Table | None:
    """The table, its columns as wide as they may be; None where not even their longest words fit."""
    wide = console.options.update_width(10**4)
    found = [_measured(table, column, console) for column in table.columns]
    frames = Measurement.get(console, wide, table).maximum - sum(one.maximum for one in found)
    room = console.width - frames - sum(one.minimum for one in found)
    if room < 0:
        return None
    # Those that lack least are served first.
    for column, one in sorted(zip(table.columns, found, strict=True), key=lambda pair: pair[1].span):
        more = min(one.span, room)
        room -= more
        column.width = one.minimum + more
    return table


def _measured(table: Table, column: Column, console: Console) -> Measurement:
    """From the longest word of a column to its longest line."""
    cells = [column.header, *column.cells]
    sizes = [Measurement.get(console, console.options.update_width(10**4), cell) for cell in cells]
    most = max(size.maximum for size in sizes)
    return Measurement(most if column.no_wrap else max(size.minimum for size in sizes), most)


def _listed(table: Table, number: int) -> Table:
    """A row as lines of a name and its value."""
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(no_wrap=True, style="bold")
    lines.add_column(overflow="fold")
    for column in table.columns:
        name = column.header.plain.replace("\n", " ") if isinstance(column.header, Text) else column.header
        lines.add_row(name, list(column.cells)[number])
    return lines
