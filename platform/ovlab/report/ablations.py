"""Which rows of a table differ in one number only, all else equal: what a chart over that number can show.

Found in the specs of the measured runs, so that a table of one's own has its charts without declaring them.
"""

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import NamedTuple

from ovlab.report.charts import Level, Panel, interval_panel
from ovlab.report.table_view import Part, RowView
from ovlab.report.text import percent, span
from ovlab.specs.fields import leaves
from ovlab.specs.training import TrainingSpec

_TITLES = {
    "model.prior_weight": "weight of the prior, λ",
    "model.region_grid": "regions a side",
    "model.fusion_depth": "depth of the fusion",
    "schedule.steps": "updates",
}


class Ablation(NamedTuple):
    """One factor of a table and a panel a benchmark; `series` are the labels of the lines, in their order."""

    title: str
    series: tuple[str, ...]
    panels: tuple[Panel, ...]


class _Line(NamedTuple):
    label: str
    rows: dict[object, RowView]


def ablations(part: Part, specs: Mapping[str, TrainingSpec]) -> list[Ablation]:
    """The charts of a part of a table. `specs` are those of the trainings, by fingerprint."""
    rows = {row.key: row for row in part.rows if row.origin == "measured" and _training(row) in specs}
    values = {key: _identity(specs[_training(row)]) for key, row in rows.items()}
    names = dict.fromkeys(name for found in values.values() for name in found)
    charts = []
    for name in names:
        lines = _lines(name, rows, values)
        if lines:
            charts.append(_ablation(name, lines, part))
    return charts


def _training(row: RowView) -> str:
    """The fingerprint of any training behind a row; its seed is the only value in which the others differ."""
    return next((run.training for cell in row.cells for run in cell.runs), "")


def _identity(spec: TrainingSpec) -> dict[str, Hashable]:
    return {name: value for name, value in leaves(spec).items() if name != "seed" and isinstance(value, Hashable)}


def _lines(name: str, rows: Mapping[str, RowView], values: Mapping[str, dict[str, Hashable]]) -> list[_Line]:
    """The rows that are equal but for the value of `name`, where that is a number in at least two of them."""
    alike: dict[frozenset[tuple[str, Hashable]], dict[object, RowView]] = {}
    for key, row in rows.items():
        others = frozenset((other, value) for other, value in values[key].items() if other != name)
        alike.setdefault(others, {}).setdefault(values[key].get(name), row)
    found = {others: by_value for others, by_value in alike.items() if sum(map(_is_number, by_value)) > 1}
    shared = frozenset.intersection(*found) if found else frozenset()
    return [_Line(", ".join(_said(*item) for item in sorted(others - shared)), found[others]) for others in found]


def _ablation(name: str, lines: Sequence[_Line], part: Part) -> Ablation:
    title = _TITLES.get(name, name.rpartition(".")[2].replace("_", " "))
    found = {value for line in lines for value in line.rows}
    # Words, as of a weight that is learned, stand behind the numbers.
    levels = sorted(found, key=lambda value: (0, value, "") if _is_number(value) else (1, 0, str(value)))
    panels = []
    for position, column in enumerate(part.columns):
        series = [(line.label, _levels(line, levels, position)) for line in lines]
        if any(found for _, found in series):
            panels.append(interval_panel(column.title, title, [_written(value) for value in levels], series))
    return Ablation(title, tuple(line.label for line in lines), tuple(panels))


def _levels(line: _Line, values: Sequence[object], position: int) -> list[Level]:
    """The measured cells of a line in the column at `position`."""
    found = []
    for place, value in enumerate(values):
        cell = line.rows[value].cells[position] if value in line.rows else None
        if cell is None or cell.value is None:
            continue
        text = f"{line.rows[value].label}: {percent(cell.value)}"
        if cell.image_interval is not None:
            text += f" ({span(cell.image_interval)})"
        runs = tuple(run.value for run in cell.runs if run.value is not None)
        found.append(Level(place, cell.value, cell.image_interval, runs if len(runs) > 1 else (), text))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _said(name: str, value: object) -> str:
    return f"{name.rpartition('.')[2].replace('_', ' ')} = {_written(value)}"


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
