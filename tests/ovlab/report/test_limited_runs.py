"""A limited run is told in every format that there is, bears no mark and decides no claim."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ovlab.commands import report
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.formats import FORMATS
from ovlab.report.site import write_site
from ovlab.report.table_view import TableView
from ovlab.report.terminal import terminal
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.specs.table import Claim, Table, Variation

FULL, HALF, NONE = Variation(), Variation(model={"prior_weight": 0.5}), Variation(model={"prior_weight": 0.0})
EASE = (0.3, 0.4, 0.5, 0.6)
LIMITS = {"limit_steps": 6, "limit_images": 4}
TEXT = "limited run: 6 of 100 updates, the first 4 images"
CLAIM = Claim(text="The prior helps.", where="here", better="full", worse=("none",))

RENDERERS = {name: form.render for name, form in FORMATS.items()}
RENDERERS["terminal"] = partial(terminal, width=240, colours=False)

Views = Callable[..., tuple[TableView, ...]]


@pytest.fixture
def views_of(filled: Any, table: Table) -> Views:
    """Of runs that differ on every image by as much: a mark and a verdict for whoever may have them."""

    def views(limits: dict[str, int] = LIMITS, runs: Sequence[Variation] = (FULL, HALF, NONE)) -> tuple[TableView, ...]:
        for gain, run in enumerate(reversed(runs)):
            filled.measure(run, [share + 0.1 * gain for share in EASE], **limits)
        asked = replace(table, claims=(CLAIM,), rows=tuple(row for row in table.rows if row.run is not None))
        return table_views([asked], SHAPES, read_records(filled.store), filled.store, **limits)

    return views


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_says_the_limits_and_marks_no_figure(views_of: Views, name: str) -> None:
    limited = RENDERERS[name](views_of())

    said = limited.lower()
    in_words = TEXT in said and "not decided: limited run" in said and "no mark and decide no claim" in said
    in_columns = ",limit_steps,limit_images," in said and ",6,4," in said
    assert in_columns if name == "csv" else in_words
    for mark in ("**", "<b>", "<u>", r"\textbf", r"\underline", ",best,", ",second,"):
        assert mark not in limited


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_marks_the_same_figures_without_limits(views_of: Views, name: str) -> None:
    whole = FORMATS[name].render(views_of({}))

    assert "limited run" not in whole
    assert any(mark in whole for mark in ("**", "<b>", r"\textbf", ",best,"))


def test_formats_on_the_command_line_are_those_there_are() -> None:
    assert set(report._FORMATS) == set(FORMATS)


def test_limited_run_is_in_caption_footnotes_and_verdicts_of_the_view(views_of: Views) -> None:
    (view,) = views_of()

    assert view.limits == TEXT
    assert [part.title for part in view.parts] == [
        "As published",
        f"In the miniature (suite shapes): shapes-vit-s on shapes-coco ({TEXT})",
    ]
    (note,) = view.notes
    assert note.text == f"L{TEXT[1:]}. Such a figure bears no mark and decides no claim."
    cells = [row.cells[0] for part in view.parts for row in part.rows if row.origin == "measured"]
    assert {(cell.mark, cell.footnotes, cell.limits.num_steps, cell.limits.num_images) for cell in cells} == {
        (None, (note.number,), 6, 4)
    }
    (claim,) = view.claims
    assert (claim.verdict, claim.need) == ("not decided: limited run", None)
    assert claim.columns[0].comparisons[0].advantage is None


def test_training_shorter_than_its_suites_is_limited_without_the_option(filled: Any, table: Table) -> None:
    short = Variation(schedule={"steps": 6})
    rows = (*table.rows[1:3], replace(table.rows[3], run=short))
    for gain, run in enumerate((HALF, FULL, short)):
        filled.measure(run, [share + 0.1 * gain for share in EASE])

    (view,) = table_views(
        [replace(table, rows=rows, claims=(CLAIM,))], SHAPES, read_records(filled.store), filled.store
    )

    measured = {row.key: row.cells[0] for row in view.parts[-1].rows}
    assert measured["none"].limits.text == view.limits == "limited run: 6 of 100 updates"
    # The highest figure is the limited one's; the best of the others is marked as if it were not there.
    assert {key: cell.mark for key, cell in measured.items()} == {"full": "best", "half": None, "none": None}
    assert view.claims[0].verdict == "not decided: limited run"


def test_command_for_what_is_missing_is_that_which_was_asked_for(views_of: Views, filled: Any, table: Table) -> None:
    views_of(runs=(FULL,))
    mine = replace(table, file="my tables/mine.py")

    (view,) = table_views([mine], SHAPES, read_records(filled.store), filled.store, **LIMITS)

    limits = "--limit-steps 6 --limit-images 4"
    command = f"ovlab run 'my tables/mine.py' --suite shapes --store {filled.store} {limits}"
    assert view.remarks[-1] == f"2 figures are not measured yet: {command}"


def test_site_says_the_limits_on_its_index_and_on_the_page_of_the_run(
    views_of: Views, filled: Any, tmp_path: Any
) -> None:
    views, records = views_of(), read_records(filled.store)

    index = write_site(views, records, filled.store, tmp_path / "site")

    pages = list((tmp_path / "site" / "runs").iterdir())
    assert len(pages) == 3
    for page in (index, *pages):
        text = page.read_text(encoding="utf-8")
        assert '<p class="limited" role="note">' in text
        assert TEXT in text.lower()
    assert index.read_text(encoding="utf-8").count(f'<small class="limits">{TEXT}</small>') == 3


def test_limited_run_of_the_papers_suite_is_in_the_caption_of_its_table(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE, suite=PAPER, **LIMITS)

    (view,) = table_views([table], PAPER, read_records(filled.store), filled.store, **LIMITS)

    assert view.title == "Mine (limited run: 6 of 80000 updates, the first 4 images)"
    marks = {(row.key, row.origin): row.cells[0].mark for part in view.parts for row in part.rows}
    assert {key: mark for key, mark in marks.items() if mark} == {("full", "quoted"): "best"}
