"""A table as it is drawn on terminals."""

import pytest

from ovlab.metrics.intervals import Interval
from ovlab.report.table_view import CellView, ColumnView, Part, RowView, RunView, TableView
from ovlab.report.terminal import terminal

SIX = ("A-847", "PC-459", "A-150", "PC-59", "PAS-20", "PAS-20b")


def measured(value: float) -> CellView:
    return CellView(
        origin="measured",
        value=value,
        published=None,
        mark="best",
        image_interval=Interval(value - 0.1, value + 0.1),
        seed_sd=0.002,
        runs=tuple(RunView(seed, value, "t" * 64, "e" * 64) for seed in range(3)),
        footnotes=(1,),
    )


VIEW = TableView(
    name="mine",
    title="Mine",
    suite="shapes",
    is_measured=True,
    parts=(
        Part(
            title="In the miniature",
            details=("Stand-in",),
            columns=tuple(
                ColumnView(key=name, title=f"shapes {name}", benchmark=name.lower(), score="miou") for name in SIX
            ),
            rows=(
                RowView(
                    key="full",
                    label="[bold]LoGoSeg[/] with all of its parts",
                    group="",
                    origin="measured",
                    details=("shapes-vit-s on shapes-coco",),
                    cells=tuple(measured(0.1 * number) for number in range(4, 10)),
                ),
            ),
        ),
    ),
    notes=(),
    remarks=("Quoted from the paper.",),
    claims=(),
)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_score_is_whole_in_lines_of_the_terminal(width: int) -> None:
    lines = terminal([VIEW], width=width, colours=False).splitlines()

    assert max(map(len, lines)) <= width
    (scores,) = (line for line in lines if "40.0[1]" in line)
    assert scores.split()[-6:] == [f"{value}.0[1]" for value in (40, 50, 60, 70, 80, 90)]
    below = lines[lines.index(scores) + 1]
    assert below.count("±10.0") == 6
    assert lines[lines.index(scores) + 2].count("s 0.2") == 6
    head = next(line for line in lines if "A-847" in line)
    assert tuple(name for name in SIX if name in head) == SIX


def test_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    text = terminal([VIEW], width=200, colours=False)

    assert "[bold]LoGoSeg[/] with all of its parts" in text
    assert "shapes-vit-s on shapes-coco" in text


def test_marks_are_styles_where_there_are_colours() -> None:
    assert "\x1b[1m40.0\x1b[0m" in terminal([VIEW], width=80)
    assert "\x1b" not in terminal([VIEW], width=80, colours=False)
