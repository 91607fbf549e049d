"""From the name of a table, or the path of its file, to the table with its published values."""

import difflib
import json
import runpy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ovlab.specs.errors import InputError
from ovlab.specs.table import Published, Row, Table
from ovlab.specs.wording import one_line

# Where `table4` is looked for: below the working directory, then beside the sources of an editable installation.
FOLDER = "experiments"
PUBLISHED = "published.json"

_SOURCES = Path(__file__).resolve().parents[3]


def load_table(name: str) -> Table:
    """The TABLE of experiments/NAME.py, or of the file at the path NAME.

    Raises InputError where there is none, where the file cannot be run, and for published values that there are not.
    """
    path = table_path(name)
    try:
        table = runpy.run_path(str(path)).get("TABLE")
    except InputError:
        raise
    except Exception as error:  # whatever a person's file raises is said in one line
        raise InputError(f"{path}: cannot be run ({type(error).__name__}: {one_line(error)}).") from None
    if not isinstance(table, Table):
        raise InputError(f"{path}: declares no table. Write TABLE = Table(...), with Table of ovlab.specs.table.")
    rows = tuple(_with_published(row, table.name, path.parent / PUBLISHED) for row in table.rows)
    return replace(table, rows=rows, file=name)


def table_path(name: str) -> Path:
    """The file of a table. Raises InputError with the nearest name where there is none."""
    if name.endswith(".py") or "/" in name:
        if not Path(name).is_file():
            raise InputError(f"{name}: no such file. Give a table's file, or its name in {FOLDER}/.")
        return Path(name)
    folders = [root / FOLDER for root in (Path(), _SOURCES)]
    for folder in folders:
        if (folder / f"{name}.py").is_file():
            return folder / f"{name}.py"
    known = sorted({path.stem for folder in folders for path in folder.glob("*.py")})
    if not known:
        raise InputError(f"no table {name!r}: there is no {FOLDER}/ here. Give the path of the table's file.")
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise InputError(f"no table {name!r} in {FOLDER}/. The nearest is {nearest!r}. Declared: {', '.join(known)}.")


def _with_published(row: Row, table: str, file: Path) -> Row:
    if not isinstance(row.published, str):
        return row
    section, _, key = row.published.partition("/")
    sections = _figures(file)
    place = f"{table}, row {row.key!r}: {file} has no"
    if section not in sections:
        raise InputError(f"{place} section {section!r}. Sections are {', '.join(sections)}.")
    rows = sections[section]["rows"]
    if key not in rows:
        nearest = difflib.get_close_matches(key, rows, n=1, cutoff=0.0)[0]
        raise InputError(f"{place} row {row.published!r}. The nearest is '{section}/{nearest}'.")
    details = {name: value for name, value in rows[key].items() if name != "miou"}
    return replace(
        row, published=Published(source=sections[section]["source"], values=rows[key]["miou"], details=details)
    )


def _figures(file: Path) -> Mapping[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: not found; published values are looked up there.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: no JSON ({error}).") from None
