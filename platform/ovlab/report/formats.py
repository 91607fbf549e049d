"""The formats of a report by name, and the files that it consists of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ovlab.files.whole_file import write_unsynced
from ovlab.report.csv import csv_text, looks_csv
from ovlab.report.html import html
from ovlab.report.latex import latex, latex_document
from ovlab.report.markdown import markdown
from ovlab.report.table_view import TableView


class Format(NamedTuple):
    """`suffix` of its files; `render` makes the text of several tables."""

    suffix: str
    render: Callable[[Sequence[TableView]], str]


FORMATS: Mapping[str, Format] = {
    "markdown": Format(".md", lambda views: "\n".join(map(markdown, views))),
    "latex": Format(".tex", lambda views: "\n".join(map(latex, views))),
    "html": Format(".html", lambda views: "\n".join(map(html, views))),
    "csv": Format(".csv", csv_text),
}


def write_tables(views: Sequence[TableView], folder: Path, formats: Iterable[str]) -> list[Path]:
    """A file a table and format in `folder`, which is made; for LaTeX also tables.tex, which compiles by itself, and
    for CSV the looks of a table that was run until decided."""
    files: dict[Path, str] = {}
    for name in formats:
        suffix, render = FORMATS[name]
        files |= {folder / f"{view.name}{suffix}": render([view]) for view in views}
        if name == "latex":
            files[folder / "tables.tex"] = latex_document(views)
        if name == "csv":
            files |= {folder / f"{view.name}-looks.csv": looks_csv(view) for view in views if view.planned_looks}
    for path, text in files.items():
        write_unsynced(path, text.encode())
    return list(files)
