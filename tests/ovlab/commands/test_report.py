"""`ovlab report`: what it prints and writes, and which stores it refuses."""

from pathlib import Path

import pytest

from ovlab.cli import main

TABLE = """
from ovlab.specs.table import Column, Row, Table, Variation
TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(Row(key="full", label="Full", run=Variation()),),
)
"""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def test_report_prints_one_table_as_markdown(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "table2", "--store", store]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("## Ablation of the core modules")
    assert "| OP + CCF + RA | **12.6** |" in printed
    command = f"ovlab run table2 --suite shapes --store {store}"
    assert f"Nothing of it is measured yet: {command}\n" in printed.replace("\\", "")


def test_report_without_a_table_is_of_all_five(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--store", store, "--suite", "paper", "--format", "csv"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {f"table{number}" for number in range(1, 6)}
    assert sum(line.startswith("table,") for line in lines) == 1


def test_report_of_photographs_is_of_their_tables_under_their_own_names(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--store", store, "--suite", "photographs"]) == 0

    printed = capsys.readouterr().out
    assert printed.count("### On photographs (suite photographs)\n") == 2
    assert "| | Subject | MSRC | MSRC seen | MSRC unseen<sup>1</sup> | CamVid<sup>1</sup> |" in printed.replace(
        "|  |", "| |"
    )
    assert "| LoGoSeg (ours) | photo-lite0 on msrc | — | — | — |" in printed
    assert "iniature" not in printed


def test_report_of_an_own_table_has_a_dash_where_nothing_is_measured(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(TABLE)

    assert main(["report", str(tmp_path / "mine.py"), "--store", store]) == 0

    printed = capsys.readouterr().out
    assert "### In the miniature (suite shapes): shapes-vit-s on shapes-coco" in printed
    assert "| Full | — |" in printed


def test_report_names_the_command_with_the_file_of_the_table_the_store_and_the_limits(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "another-name.py"
    file.write_text(TABLE)

    assert main(["report", str(file), "--store", store, "--limit-steps", "6", "--limit-images", "4"]) == 0

    command = f"ovlab run {file} --suite shapes --store {store} --limit-steps 6 --limit-images 4"
    assert f"{command}\n" in capsys.readouterr().out.replace("\\", "")


def test_report_writes_every_format_and_the_pages(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "table2", "table4", "--store", store, "--out", str(tmp_path / "out")]) == 0

    written = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    assert written == {"tables.tex"} | {f"table{n}{end}" for n in (2, 4) for end in (".md", ".tex", ".html", ".csv")}
    assert capsys.readouterr().out.splitlines()[-1] == f"open {tmp_path / 'out' / 'index.html'}"
    assert (tmp_path / "out" / "index.html").is_file()


def test_report_writes_one_format_alone(store: str, tmp_path: Path) -> None:
    arguments = ["report", "table2", "--store", store, "--out", str(tmp_path / "out"), "--format", "latex"]

    assert main(arguments) == 0

    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"table2.tex", "tables.tex"}


def test_report_of_a_table_that_there_is_not_is_refused(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "table6", "--store", store]) == 2

    assert "no table 'table6' in experiments/" in capsys.readouterr().err
