"""A table with everything that a page shows of it, so that a renderer formats and computes nothing.

A row of a table that is both published and measured gives two rows here: what is quoted, and what was measured. In the
suite `paper` they stand in the same columns, one below the other. In the miniature the scores are other quantities,
so there is a part of the view for each: the table as published, and its miniature with columns of its own.

All scores, deltas and intervals are fractions; percent is a matter of the renderer.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ovlab.metrics.intervals import Interval
from ovlab.report.claims import ClaimView
from ovlab.report.marks import Mark
from ovlab.specs.run_limits import NO_LIMITS, Limits

# Of a row: which of its scores it shows.
Origin = Literal["quoted", "measured"]


class RunView(NamedTuple):
    """One seed behind a measured cell: its score, and the fingerprints of its training and its evaluation. A subject
    that is not trained has no seed and stands there once, its own fingerprint in place of a training's."""

    seed: int | None
    value: float | None
    training: str
    evaluation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CellView:
    """One cell. `value` is None where the origin is "missing", and for a dash in a quoted table.

    published: what the paper prints for this row and column, also beside a measured or missing cell; in the miniature
    that is another quantity, so there is no delta. delta: value - published of a measured cell, suite `paper` only.
    image_interval: 95 %, of the value (the mean over the runs), from resampled images. seed_interval: 95 %, of the mean
    over at least three seeds; seed_sd: over at least two. The two kinds of noise are never added up. missing_seeds:
    those of the table that no run was found for. limits: of its runs; a limited cell has no mark, and a footnote.
    """

    origin: Literal["quoted", "measured", "missing"]
    value: float | None
    published: float | None
    delta: float | None = None
    mark: Mark | None = None
    image_interval: Interval | None = None
    seed_interval: Interval | None = None
    seed_sd: float | None = None
    runs: tuple[RunView, ...] = ()
    missing_seeds: tuple[int, ...] = ()
    footnotes: tuple[int, ...] = ()
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnView:
    """`title` is what the head of the column says; `key` the title of the table's column, `benchmark` the data set."""

    key: str
    title: str
    benchmark: str
    score: str
    footnotes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RowView:
    """`key` is the table's; a quoted and a measured row may share it. `details` and `cells` are in the order of the
    columns of the part; a detail is "" where the row has none."""

    key: str
    label: str
    group: str
    origin: Origin
    details: tuple[str, ...]
    cells: tuple[CellView, ...]
    footnotes: tuple[int, ...] = ()

    @property
    def is_made(self) -> bool:
        """Whether a run stands behind any of its cells."""
        return any(cell.runs for cell in self.cells)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Rows under one head. `title` is "" where the view has one part."""

    title: str
    details: tuple[str, ...]
    columns: tuple[ColumnView, ...]
    rows: tuple[RowView, ...]

    @property
    def is_quoted(self) -> bool:
        """Whether all of it is what others have printed."""
        return all(row.origin == "quoted" for row in self.rows)

    def grouped(self) -> list[tuple[str, list[RowView]]]:
        """The rows by their group, in the order in which groups first occur; a table without groups has one, ""."""
        groups: dict[str, list[RowView]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return list(groups.items())


class NoteView(NamedTuple):
    """A footnote: its number, by which rows, columns and cells name it."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TableView:
    """remarks: sentences on the whole table, in order, without a number: where scores come from, what intervals and
    marks mean, what is not measured. is_measured: whether any cell is. limits: what its limited cells stand on, in
    words, which the title above them says too; "" where there are none. command: what makes its missing figures, or
    "". planned_looks: the seeds after which its claims are looked at, where it was run until decided."""

    name: str
    title: str
    suite: str
    is_measured: bool
    parts: tuple[Part, ...]
    notes: tuple[NoteView, ...]
    remarks: tuple[str, ...]
    claims: tuple[ClaimView, ...]
    limits: str = ""
    command: str = ""
    planned_looks: tuple[int, ...] = ()
