"""ovlab.report.fitted_table: nothing is cut, however narrow the terminal."""

import re
from collections.abc import Callable

import pytest
from rich.table import Table

from ovlab.report.fitted_table import print_table

NAMES = ("sliding-window, vit-b16 on coco-stuff", "adaptive")
CODES = re.compile(r"\x1b\[[0-9;]*m")


def shown(
    table: Table, width: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """The lines on a terminal of so many columns, or in a pipe."""
    monkeypatch.setenv("COLUMNS", str(width or 60))
    if width is not None:
        monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(table)
    return CODES.sub("", capsys.readouterr().out).splitlines()


def scores() -> Table:
    """Of natural width 76; its longest words take 48."""
    table = Table(title="Scores")
    table.add_column("run")
    for name in ("a-847", "pc-459", "a-150", "pas-20"):
        table.add_column(name, justify="right", no_wrap=name == "pas-20")
    for name in NAMES:
        table.add_row(name, "12.34", "5.67", "31.2", "94.1 ± 0.25")
    return table


def beside(line: str) -> list[str]:
    return [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]


@pytest.mark.parametrize("width", [100, None])
def test_table_with_room_is_as_wide_as_it_likes(
    width: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(scores(), width, monkeypatch, capsys)

    rows = [beside(line) for line in lines if "│" in line]
    assert rows == [[name, "12.34", "5.67", "31.2", "94.1 ± 0.25"] for name in NAMES]


def test_table_with_less_room_is_broken_at_spaces_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(scores(), 62, monkeypatch, capsys)

    assert max(map(len, lines)) <= 62
    rows = [beside(line) for line in lines if "│" in line]
    assert " ".join(row[0] for row in rows).split() == " ".join(NAMES).split()
    assert [row[1:] for row in rows if row[1]] == [["12.34", "5.67", "31.2", "94.1 ± 0.25"]] * 2


def test_table_without_room_is_a_list_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(scores(), 40, monkeypatch, capsys)

    assert max(map(len, lines)) <= 40
    assert "Scores" in lines[0]
    values = [re.split(r"\s{2,}", line.rstrip()) for line in lines if line.startswith(("a-847", "pas-20"))]
    assert values == [["a-847", "12.34"], ["pas-20", "94.1 ± 0.25"]] * 2
    assert " ".join(line.removeprefix("run").strip() for line in lines).count("vit-b16 on coco-stuff") == 1


def wide_word() -> Table:
    table = Table()
    table.add_column("fingerprint")
    table.add_row("f" * 64)
    return table


@pytest.mark.parametrize("make", [scores, wide_word])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_character_is_lost(
    make: Callable[[], Table], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make()
    cells = sorted("".join("".join(map(str, column.cells)) for column in table.columns).replace(" ", ""))

    text = "".join(shown(table, width, monkeypatch, capsys))

    assert "…" not in text
    assert all(text.count(letter) >= cells.count(letter) for letter in set(cells))
