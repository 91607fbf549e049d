"""ovlab.specs.table_file: from a name or a path to a table, or to one line that says why not."""

import json
from pathlib import Path

import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.table_file import load_table, table_path

MINE = """\
from ovlab.specs.table import Row, Table, Variation

TABLE = Table(name="mine", title="Mine", rows=(Row(key="r", label="R", published="{published}", run=Variation()),))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with experiments/mine.py and its figures."""
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "mine.py").write_text(MINE.format(published="paper/first"))
    figures = {"paper": {"source": "a paper", "rows": {"first": {"vlm": "ViT", "miou": {"A-847": 1.5, "A-150": None}}}}}
    (experiments / "published.json").write_text(json.dumps(figures))
    monkeypatch.chdir(tmp_path)
    return experiments


@pytest.mark.parametrize("name", ["mine", "experiments/mine.py"])
def test_load_table_by_name_or_path_has_its_published_values(folder: Path, name: str) -> None:
    (row,) = load_table(name).rows

    assert row.quoted is not None
    assert (row.quoted.source, row.quoted.values) == ("a paper", {"A-847": 1.5, "A-150": None})
    assert row.detail("vlm") == "ViT"


def test_table_path_of_the_projects_own_is_found_from_anywhere(folder: Path) -> None:
    assert table_path("table4").name == "table4.py"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINE.format(published="paper/frist"), "no row 'paper/frist'. The nearest is 'paper/first'"),
        (MINE.format(published="papers/first"), "no section 'papers'. Sections are paper"),
        ("TABLE = 3", "declares no table"),
        ("import nothing_of_that_name", "cannot be run .ModuleNotFoundError"),
        ("TABLE = (", "cannot be run .SyntaxError"),
        (MINE.format(published="paper/first").replace('label="R", ', ""), "cannot be run .TypeError.*label"),
    ],
)
def test_load_table_bad_file_is_refused_in_one_line(folder: Path, text: str, words: str) -> None:
    (folder / "mine.py").write_text(text)

    with pytest.raises(InputError, match=words) as raised:
        load_table("mine")

    assert "\n" not in str(raised.value)


def test_load_table_without_figures_says_where_they_are_looked_for(folder: Path) -> None:
    (folder / "published.json").unlink()

    with pytest.raises(InputError, match=r"published\.json: not found"):
        load_table("mine")


@pytest.mark.parametrize(
    ("name", "words"),
    [("tabel4", "The nearest is 'table4'"), ("other/mine.py", "no such file")],
)
def test_table_path_unknown_is_refused(folder: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        table_path(name)
