"""Jinja2 templates to HTML pages, and how scores and costs are written on them.

The templates, the style and the script are in dashboards/report: beside the sources of an editable installation, in
the package ovlab.report of a wheel.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ovlab.files.whole_file import write_unsynced
from ovlab.metrics.intervals import Interval
from ovlab.report import text
from ovlab.report.charts import Level, Panel, looks_panel
from ovlab.report.table_view import TableView
from ovlab.specs.errors import InputError
from ovlab.specs.wording import duration, thousands
from ovlab.store.record import Cost

ASSETS = ("style.css", "script.js")

_PACKAGED = Path(__file__).parent / "templates"
_SOURCES = Path(__file__).resolve().parents[3] / "dashboards" / "report"


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template to the file at `path`, whose folder is made."""
    write_unsynced(path, render(template, **values).encode())


def render(template: str, **values: Any) -> str:
    """The text that a template makes of `values`."""
    return _environment().get_template(template).render(**values)


def copy_assets(folder: Path) -> None:
    """Copy style and script into `folder`, which is made."""
    for name in ASSETS:
        write_unsynced(folder / name, (template_folder() / name).read_bytes())


def template_folder() -> Path:
    """Where the templates are. Raises InputError where neither place has them."""
    for folder in (_PACKAGED, _SOURCES):
        if (folder / "index.html.j2").is_file():
            return folder
    raise InputError(
        f"the templates of the report are neither in {_PACKAGED} nor in {_SOURCES}; install logoseg again."
    )


def table_name(name: str) -> str:
    """ "table3" -> "Table 3"; another name stays."""
    number = name.removeprefix("table")
    return f"Table {number}" if number.isdigit() else name


def cost(spent: Cost) -> str:
    """`total_cost` of one."""
    return total_cost([spent])


def total_cost(costs: Iterable[Cost]) -> str:
    """Time by the clock, GPU-hours where GPUs were held, and processor time, each by its name."""
    costs = list(costs)
    gpu_seconds = sum((spent.gpu_seconds for spent in costs), start=0.0)
    processed = [spent.process_seconds for spent in costs if spent.process_seconds is not None]
    parts = [f"{duration(sum((spent.seconds for spent in costs), start=0.0))} wall"]
    parts += [gpu_hours(gpu_seconds)] if gpu_seconds else []
    if len(processed) == len(costs):
        parts.append(f"{duration(sum(processed, start=0.0))} CPU")
    else:
        parts.append("CPU not recorded" if not processed else f"CPU of {len(processed)} of {len(costs)} recorded")
    return ", ".join(parts)


def gpu_hours(gpu_seconds: float) -> str:
    return f"{gpu_seconds / 3600:.2f} GPU-hours"


def look_panels(view: TableView) -> list[Panel]:
    """The looks at each claim of a table, over those that are planned."""
    places = {number: place for place, number in enumerate(view.planned_looks)}
    panels = []
    for claim in view.claims:
        found = []
        for look in claim.looks:
            if least := min(look.comparisons, key=lambda one: one.difference, default=None):
                said = f"{look.num_seeds} seeds: {text.of_look(look)}: {text.verdict_of_look(look)}"
                interval = Interval(least.low, least.high)
                found.append(Level(places[look.num_seeds], least.difference, interval, (), said))
        if found:
            panels.append(looks_panel(claim.text, "seeds of each row", [*map(str, places)], found, claim.margin))
    return panels


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = (text.percent, text.span, text.beside, text.published_verdict)
    of_claims = (text.over_all_columns, text.verdict_by_column, text.to_decide)
    of_looks = (text.about_looks, text.look_rows, look_panels)
    for filter_ in (*written, *of_claims, *of_looks, table_name, thousands, duration, cost, total_cost):
        environment.filters[filter_.__name__] = filter_
    environment.globals |= {"NOTHING": text.NOTHING, "LIMITED": text.LIMITED, "LOOK_COLUMNS": text.LOOK_COLUMNS}
    return environment
