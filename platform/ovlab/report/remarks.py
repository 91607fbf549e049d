"""The words around a table: its footnotes with their numbers, and what holds for all of it."""

import shlex
from dataclasses import replace

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.texts import of_shared_texts
from ovlab.datasets.vocabulary import prompt_names
from ovlab.metrics.seeds import MIN_SEEDS
from ovlab.report.cells import Grid
from ovlab.report.samples import Samples
from ovlab.report.table_view import NoteView
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import PAPER, SHAPES, Suite
from ovlab.specs.table import Alone, Note, Row, Table, Variation
from ovlab.store.store import Store


def with_shared_names(table: Table, suite: Suite) -> Table:
    """The table with a footnote on each column of a benchmark some of whose classes are asked for by one text."""
    notes = []
    for column in table.columns:
        known = DATASETS.get(suite.benchmark(column.benchmark))
        shared = of_shared_texts(prompt_names(entry, "first")[0] for entry in known.prompt_entries) if known else ()
        if shared:
            text = (
                f"{len(shared)} classes share {len(set(shared))} first names (such as {shared[0]!r}), which are one "
                f"text to CLIP: all but one of each name can never be found."
            )
            notes.append(Note(text=text, columns=(column.title,)))
    return replace(table, notes=(*table.notes, *notes))


def note_views(grid: Grid) -> tuple[NoteView, ...]:
    """The notes on rows, columns and cells, numbered from 1 in their order, and behind them those on limited cells;
    those of one text share a number."""
    texts = [*_numbers(grid.table), *map(limit_note, limits_in(grid))]
    return tuple(NoteView(number, text) for number, text in enumerate(texts, start=1))


def limits_in(grid: Grid) -> tuple[str, ...]:
    """What limited cells stand on, in words, each once."""
    return tuple(dict.fromkeys(cell.limits.text for cell in grid.cells.values() if cell.limits.text))


def limit_note(limits: str) -> str:
    """The footnote of limited cells."""
    return f"{limits[0].upper()}{limits[1:]}. Such a figure bears no mark and decides no claim."


def footnotes_of(table: Table, *, row: str | None = None, column: str | None = None) -> tuple[int, ...]:
    """The numbers of the notes on a row, on a column, or, given both, on a cell."""
    numbers = _numbers(table)
    return tuple(
        numbers[note.text]
        for note in _footnotes(table)
        if (row in note.rows if row is not None else not note.rows)
        and (column in note.columns if column is not None else not note.columns)
    )


def remarks_on(grid: Grid, suite: Suite, samples: Samples) -> tuple[str, ...]:
    """Where scores come from, what stands beside them, and what is missing, a sentence or two each."""
    table, command = grid.table, command_of(grid, samples.store)
    sources = dict.fromkeys(row.quoted.source for row in table.rows if row.quoted is not None)
    remarks = [note.text for note in table.notes if not note.rows and not note.columns]
    if sources:
        remarks.append(f"Quoted from: {'; '.join(sources)}.")
    measured = [cell for cell in grid.cells.values() if cell.origin == "measured"]
    if not measured:
        if command:
            remarks.append(f"Nothing of it is measured yet: {command}")
        return tuple(remarks)
    remarks.append(
        f"Beside a measured figure: ± half of its 95 % interval over images ({samples.num_resamples} resamples), and "
        f"s, the standard deviation over runs that differ in their seed, or how many runs there are where fewer than "
        f"{MIN_SEEDS}. Neither holds the other."
    )
    remarks.append(
        "Bold is the best, underlined the second, among comparable figures of one group and origin; figures that the "
        "noise does not tell from the best share its mark."
    )
    if suite == PAPER:
        remarks.append("Δ: measured less published, in points.")
    elif suite == SHAPES:
        remarks.append("Figures of the miniature are other quantities than the paper's and are not held against them.")
    for what, is_needed in (
        ("count boundaries", lambda needs: "boundary" in needs),
        ("ask oracles", lambda needs: needs - {"boundary"}),
    ):
        titles = [column.title for column in table.columns if is_needed(set(SCORES[column.score].needs))]
        if any(grid.cells[row.key, title].origin == "missing" for row in table.rows for title in titles):
            remarks.append(f"{', '.join(titles)}: only evaluations that {what} are shown; ovlab run makes them.")
    squeezed = {
        run.evaluation.evaluation.benchmark: run.evaluation.evaluation.longest_side
        for cell in measured
        for run in cell.runs
        if run.evaluation.evaluation.longest_side is not None
    }
    remarks += [
        f"{name}: the narrowest pictures are squeezed to a long side of {side} pixels."
        for name, side in squeezed.items()
    ]
    if left_out := rows_left_out(grid):
        names = dict.fromkeys(row.label for row in left_out)
        remarks.append(f"Left out, because nothing of them is measured: {', '.join(names)}.")
    if command:
        num_missing = sum(cell.origin == "missing" for cell in grid.cells.values())
        remarks.append(f"{num_missing} figures are not measured yet: {command}")
    return tuple(remarks)


def rows_left_out(grid: Grid) -> list[Row]:
    """Those of other methods than LoGoSeg of which nothing is measured, where there is anything else to see."""
    if all(cell.origin == "missing" for cell in grid.cells.values()):
        return []
    return [
        row
        for row in grid.table.rows
        if (isinstance(row.run, Alone) or (isinstance(row.run, Variation) and row.run.method is not None))
        and all(cell.origin != "measured" for cell in grid.row(row.key))
    ]


def command_of(grid: Grid, store: Store) -> str:
    """What makes the cells that are missing, to be typed as it stands; "" where none is."""
    if all(cell.origin != "missing" for cell in grid.cells.values()):
        return ""
    words = ["ovlab", "run", grid.table.file or grid.table.name, "--suite", grid.suite, "--store", str(store)]
    for option, limit in (("--limit-steps", grid.limit_steps), ("--limit-images", grid.limit_images)):
        words += [] if limit is None else [option, str(limit)]
    return shlex.join(words)


def _numbers(table: Table) -> dict[str, int]:
    texts = dict.fromkeys(note.text for note in _footnotes(table))
    return {text: number for number, text in enumerate(texts, start=1)}


def _footnotes(table: Table) -> list[Note]:
    return [note for note in table.notes if note.rows or note.columns]
