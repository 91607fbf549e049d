"""From the cells of a table, and the counts behind them, to its view."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ovlab.metrics.intervals import Interval, interval_about, within_0_and_1
from ovlab.metrics.seeds import SeedSummary, summarise_seeds
from ovlab.report.cells import Cell, Grid, Records, cells_of
from ovlab.report.claims import claim_views
from ovlab.report.differences import Compared, advantage, is_within_noise
from ovlab.report.looks import Study, looked_views, stored_study
from ovlab.report.marks import Mark, comparable, marks_among
from ovlab.report.measured_details import MEASURED, measured_detail
from ovlab.report.remarks import (
    command_of,
    footnotes_of,
    limit_note,
    limits_in,
    note_views,
    remarks_on,
    rows_left_out,
    with_shared_names,
)
from ovlab.report.samples import Samples
from ovlab.report.table_view import CellView, ColumnView, Origin, Part, RowView, RunView, TableView
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import PAPER, SHAPES, Suite, place_of, suite_named
from ovlab.specs.table import Alone, Column, Row, Table
from ovlab.store.store import Store

QUOTED_TITLE = "As published"


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """A row of a view to be: the row of the table, and which of its two kinds of cells it shows."""

    row: Row
    origin: Origin


def table_views(
    tables: Iterable[Table],
    suite: Suite,
    records: Records,
    store: Store,
    *,
    limit_steps: int | None = None,
    limit_images: int | None = None,
) -> tuple[TableView, ...]:
    """The views of several tables from the records of one store, whose counts are read once.

    A table that was run until decided has the seeds and verdicts of its looks; a limited run of it has none. Damaged
    counts are named in a warning. Raises InputError as `cells_of` and `stored_study` do, before any count is read.
    """
    tables = tuple(with_shared_names(table, suite) for table in tables)
    samples = Samples(store, {column.score for table in tables for column in table.columns})
    is_limited = (limit_steps, limit_images) != (None, None)
    studies = [None if is_limited else stored_study(table, suite, store) for table in tables]
    grids = [
        cells_of(
            table,
            suite,
            records,
            seeds_by_row={} if study is None else study.seeds_by_row,
            limit_steps=limit_steps,
            limit_images=limit_images,
        )
        for table, study in zip(tables, studies, strict=True)
    ]
    samples.prepare(run.evaluation for grid in grids for cell in grid.cells.values() for run in cell.runs)
    return tuple(table_view(grid, samples, study) for grid, study in zip(grids, studies, strict=True))


def table_view(grid: Grid, samples: Samples, study: Study | None = None) -> TableView:
    """The view of one table: marks, intervals and verdicts as marks.py, metrics and claims.py define them, or, of a
    table that was run until decided, looks.py. `grid` has the seeds that it looked at."""
    table, suite = grid.table, suite_named(grid.suite)
    is_measured = any(cell.origin == "measured" for cell in grid.cells.values())
    quoted = [_Line(row, "quoted") for row in table.rows if row.quoted is not None]
    # Of a table of which nothing is measured, what is quoted is all there is to see.
    left_out = {row.key for row in rows_left_out(grid)}
    measured = [
        _Line(row, "measured")
        for row in table.rows
        if row.run is not None and (is_measured or row.quoted is None) and row.key not in left_out
    ]
    limits = "; ".join(limits_in(grid))
    if suite == PAPER:
        order = {row.key: position for position, row in enumerate(table.rows)}
        lines = sorted([*quoted, *measured], key=lambda line: order[line.row.key])
        parts = [_part("", lines, grid, suite, samples)]
    else:
        titles = (QUOTED_TITLE, _captioned(_measured_title(measured, suite), limits))
        parts = [
            _part(title, lines, grid, suite, samples)
            for title, lines in zip(titles, (quoted, measured), strict=True)
            if lines
        ]
    return TableView(
        name=table.name,
        title=_captioned(table.title, limits) if suite == PAPER else table.title,
        suite=suite.name,
        is_measured=is_measured,
        parts=tuple(parts),
        notes=note_views(grid),
        remarks=remarks_on(grid, suite, samples),
        claims=claim_views(grid, samples) if study is None else looked_views(study, grid, samples),
        limits=limits,
        command=command_of(grid, samples.store),
        planned_looks=() if study is None else study.record.planned,
    )


def _captioned(title: str, limits: str) -> str:
    return f"{title} ({limits})" if limits else title


def _part(title: str, lines: Sequence[_Line], grid: Grid, suite: Suite, samples: Samples) -> Part:
    table = grid.table
    is_miniature = suite != PAPER and all(line.origin == "measured" for line in lines)
    is_mixed = len({line.origin for line in lines}) > 1
    # Where one thing stands for all rows, the title says it.
    has_stand_ins = is_miniature and len(_stand_ins(lines, suite)) > 1
    stand_in_title = ("Stand-in" if suite == SHAPES else "Subject",) if has_stand_ins else ()
    # A column of details in which no row of this part has an entry is left out.
    details = {name: title for name, title in table.details.items() if any(_detail(line, name, grid) for line in lines)}
    cells = {(line, column.title): _cell(line, column, grid) for line in lines for column in table.columns}
    marks = _marks(lines, cells, table, samples)
    cell_views = {
        (line, column.title): _cell_view(
            cells[line, column.title],
            column,
            samples,
            mark=marks.get((line, column.title)),
            footnotes=_footnotes(line, column, grid),
            has_delta=suite == PAPER,
        )
        for line in lines
        for column in table.columns
    }
    rows = tuple(
        RowView(
            key=line.row.key,
            label=_label(line, [cells[line, column.title] for column in table.columns], is_mixed),
            group=line.row.group,
            origin=line.origin,
            details=(
                *(_detail(line, name, grid) for name in details),
                *(stand_in(line.row, suite) for _ in stand_in_title),
            ),
            cells=tuple(cell_views[line, column.title] for column in table.columns),
            footnotes=footnotes_of(table, row=line.row.key),
        )
        for line in lines
    )
    columns = tuple(_column_view(column, table, suite, is_miniature) for column in table.columns)
    return Part(title=title, details=(*details.values(), *stand_in_title), columns=columns, rows=rows)


def _label(line: _Line, cells: Sequence[Cell], is_mixed: bool) -> str:
    if line.origin == "quoted" or not is_mixed:
        return line.row.label
    is_made = any(cell.runs for cell in cells)
    return f"{line.row.label}, {'measured' if is_made else 'not measured'} here"


def stand_in(row: Row, suite: Suite) -> str:
    """What a suite has for a row, in its own names: "shapes-vit-s on shapes-coco, 3×3 regions"."""
    if row.run is None:
        return ""
    if isinstance(row.run, Alone):
        return f"{row.run.method} on {row.run.preset(suite)}, not trained"
    method = f"{row.run.method}, " if row.run.method else ""
    trained = f"{method}{row.run.preset(suite)} on {suite.training_sets[row.run.training_set]}"
    if row.run.region_grid is None:
        return trained
    side = suite.region_grid(row.run.region_grid)
    return f"{trained}, {side}×{side} regions"


def _stand_ins(lines: Iterable[_Line], suite: Suite) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stand_in(line.row, suite) for line in lines))


def _measured_title(lines: Sequence[_Line], suite: Suite) -> str:
    title, stand_ins = f"{suite.heading} (suite {suite.name})", _stand_ins(lines, suite)
    return f"{title}: {stand_ins[0]}" if len(stand_ins) == 1 else title


def _cell(line: _Line, column: Column, grid: Grid) -> Cell:
    cell = grid.cells[line.row.key, column.title]
    if line.origin == "measured":
        return cell
    return Cell(origin="quoted", value=cell.published, published=cell.published)


def _footnotes(line: _Line, column: Column, grid: Grid) -> tuple[int, ...]:
    noted = footnotes_of(grid.table, row=line.row.key, column=column.title)
    limits = grid.cells[line.row.key, column.title].limits.text
    if line.origin == "quoted" or not limits:
        return noted
    return (*noted, next(note.number for note in note_views(grid) if note.text == limit_note(limits)))


def _marks(
    lines: Sequence[_Line], cells: dict[tuple[_Line, str], Cell], table: Table, samples: Samples
) -> dict[tuple[_Line, str], Mark]:
    found: dict[tuple[_Line, str], Mark] = {}
    for column in table.columns:
        sign = -1 if SCORES[column.score].lower_is_better else 1
        for kind in dict.fromkeys((line.origin, line.row.group) for line in lines):
            valued = {
                line: cell
                for line in lines
                if (line.origin, line.row.group) == kind
                and (cell := cells[line, column.title]).value is not None
                and not cell.limits.text
            }
            competing = comparable({line: frozenset(table.notes_of(line.row.key, column.title)) for line in valued})
            ranks = {line: sign * value for line in competing if (value := valued[line].value) is not None}
            marks = marks_among(ranks, partial(_is_tied, valued, column.score, samples))
            found |= {(line, column.title): mark for line, mark in marks.items()}
    return found


def _is_tied(cells: Mapping[_Line, Cell], score: str, samples: Samples, first: _Line, second: _Line) -> bool:
    found = advantage([Compared(cells[first], cells[second], score)], samples)
    return found is not None and is_within_noise(found)


def _cell_view(
    cell: Cell, column: Column, samples: Samples, *, mark: Mark | None, footnotes: tuple[int, ...], has_delta: bool
) -> CellView:
    # What is not trained is the same for every seed.
    is_trained = any(run.training is not None for run in cell.runs)
    seeds = _seeds(cell) if is_trained else None
    runs = [RunView(run.seed, run.value, run.subject, run.evaluation.fingerprint) for run in cell.runs]
    return CellView(
        origin=cell.origin,
        value=cell.value,
        published=cell.published,
        delta=_delta(cell) if has_delta else None,
        mark=mark,
        image_interval=_image_interval(cell, column, samples),
        seed_interval=None if seeds is None else seeds.interval,
        seed_sd=None if seeds is None else seeds.sd,
        runs=tuple(runs if is_trained else [run._replace(seed=None) for run in runs[:1]]),
        missing_seeds=cell.missing_seeds,
        footnotes=footnotes,
        limits=cell.limits,
    )


def _delta(cell: Cell) -> float | None:
    if cell.origin != "measured" or cell.value is None or cell.published is None:
        return None
    return cell.value - cell.published


def _seeds(cell: Cell) -> SeedSummary | None:
    runs = {run.seed: run.value for run in cell.runs if run.value is not None}
    return summarise_seeds(runs) if runs else None


def _image_interval(cell: Cell, column: Column, samples: Samples) -> Interval | None:
    if not cell.runs or cell.value is None:
        return None
    resampled = samples.of_cell(cell, column.score)
    if resampled is None:
        return None
    interval = interval_about(cell.value, resampled)
    return interval if SCORES[column.score].is_difference else within_0_and_1(interval)


def _column_view(column: Column, table: Table, suite: Suite, is_miniature: bool) -> ColumnView:
    stands_in = (
        is_miniature and place_of(column.benchmark) is None and suite.benchmark(column.benchmark) != column.benchmark
    )
    return ColumnView(
        key=column.title,
        title=f"{suite.name} {column.title}" if stands_in else column.title,
        benchmark=suite.benchmark(column.benchmark),
        score=column.score,
        footnotes=footnotes_of(table, column=column.title),
    )


def _detail(line: _Line, name: str, grid: Grid) -> str:
    if name in MEASURED:
        if line.origin == "quoted":
            return ""
        return measured_detail(name, [run for cell in grid.row(line.row.key) for run in cell.runs])
    value = line.row.detail(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
