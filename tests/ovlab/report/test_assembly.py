"""ovlab.report.assembly: what of a grid stands in a view, for both suites, and for a store that is empty or damaged."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from ovlab.report.assembly import stand_in, table_view, table_views
from ovlab.report.cells import read_records
from ovlab.report.samples import Samples
from ovlab.report.table_view import CellView, Part, TableView
from ovlab.report.text import beside
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Scoring
from ovlab.specs.suite import PAPER, SHAPES, Suite
from ovlab.specs.table import Alone, Column, Note, Published, Row, Table, Variation
from ovlab.specs.table_file import load_table

FULL, HALF, NONE = Variation(), Variation(model={"prior_weight": 0.5}), Variation(model={"prior_weight": 0.0})
EASE = [0.3 + 0.01 * index for index in range(40)]
PROJECT = ("table1", "table2", "table3", "table4", "table5")


def view_of(filled: Any, table: Table, suite: Suite = SHAPES) -> TableView:
    return table_view(filled.grid(table, suite), Samples(filled.store, num_resamples=500))


def cells(part: Part) -> dict[tuple[str, str], CellView]:
    """The first column, by the row's key and origin."""
    return {(row.key, row.origin): row.cells[0] for row in part.rows}


@pytest.mark.parametrize("suite", [PAPER, SHAPES], ids=["paper", "shapes"])
@pytest.mark.parametrize("name", PROJECT)
def test_empty_store_gives_the_quoted_table_only(filled: Any, name: str, suite: Suite) -> None:
    table = load_table(name)

    (view,) = table_views([table], suite, read_records(filled.store), filled.store)

    (part,) = view.parts
    rows = [row for row in table.rows if row.quoted is not None]
    assert [row.key for row in part.rows] == [row.key for row in rows]
    assert {row.origin for row in part.rows} == {cell.origin for row in part.rows for cell in row.cells} == {"quoted"}
    printed = [
        [value if value is None else round(value / 100, 6) for value in row.quoted.values.values()] for row in rows
    ]
    assert [[cell.value for cell in row.cells] for row in part.rows] == printed
    assert {claim.verdict for claim in view.claims} == {"not measured"}
    command = f"ovlab run {name} --suite {suite.name} --store {filled.store}"
    assert f"Nothing of it is measured yet: {command}" in view.remarks
    assert not view.is_measured


def test_quoted_rows_of_table1_are_marked_as_printed_figures_rank(filled: Any) -> None:
    (part,) = view_of(filled, load_table("table1")).parts
    pc_459 = {row.key: row.cells[1] for row in part.rows}

    assert [key for key, cell in pc_459.items() if cell.mark == "best"] == ["logoseg-vit-b", "logoseg-vit-l"]
    assert [key for key, cell in pc_459.items() if cell.mark == "second"] == [
        "logoseg-convnext-b",
        "cat-seg-cvpr24-vit-l",
    ]
    assert pc_459["san-vit-l"].footnotes == (5,)
    assert [row.footnotes for row in part.rows if row.key == "cat-seg-vit-b"] == [(4,)]


OWN = ("logoseg-convnext-b", "logoseg-vit-b", "logoseg-convnext-l", "logoseg-vit-l")


def test_rows_of_other_methods_of_which_nothing_is_measured_are_named_and_left_out(filled: Any) -> None:
    filled.measure(FULL, EASE)

    view = view_of(filled, load_table("table1"))

    assert tuple(row.key for row in view.parts[1].rows) == OWN
    (remark,) = (remark for remark in view.remarks if remark.startswith("Left out"))
    for label in ("SAN (Xu et al. 2023b)", "CAT-Seg (Cho et al., CVPR 2024)", "SED (Xie et al. 2024)", "CLIP alone"):
        assert label in remark


def test_row_of_another_method_is_shown_once_anything_of_it_is_measured(filled: Any) -> None:
    filled.measure_alone(Alone(), EASE)

    view = view_of(filled, load_table("table1"))

    assert tuple(row.key for row in view.parts[1].rows) == (*OWN[:2], "clip-vit-b", *OWN[2:])


def test_what_is_not_trained_says_nothing_of_runs_and_what_is_trained_does(filled: Any, table: Table) -> None:
    filled.measure_alone(Alone(), EASE)
    filled.measure(FULL, EASE)
    filled.measure(FULL, [*EASE[:-1], 0.0], seed=1)

    def cell_of(run: Variation | Alone) -> CellView:
        rows = (Row(key="only", label="", run=run),)
        (part,) = view_of(filled, replace(table, rows=rows, claims=(), notes=(), seeds=(0, 1))).parts
        return part.rows[0].cells[0]

    untrained, trained = cell_of(Alone()), cell_of(FULL)

    assert (untrained.seed_sd, untrained.seed_interval, untrained.missing_seeds) == (None, None, ())
    assert [run.seed for run in untrained.runs] == [None]
    assert [run.seed for run in trained.runs] == [0, 1]
    assert "run" not in beside(untrained)
    assert "s " not in beside(untrained)
    assert "(2 runs, s " in beside(trained)


def test_miniature_stands_in_a_part_of_its_own_without_a_delta(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE)

    quoted, measured = view_of(filled, table).parts

    assert [(row.key, row.cells[0].value) for row in quoted.rows] == [("theirs", 0.9), ("full", 0.954)]
    assert [row.key for row in measured.rows] == ["full", "half", "none"]
    assert [column.title for column in (*quoted.columns, *measured.columns)] == ["PAS-20", "shapes PAS-20"]
    assert measured.title == "In the miniature (suite shapes): shapes-vit-s on shapes-coco"
    assert (measured.details, measured.rows[0].details) == ((), ())
    cell = cells(measured)["full", "measured"]
    assert (cell.origin, cell.published, cell.delta) == ("measured", 0.954, None)
    assert cell.value == pytest.approx(sum(EASE) / 40)
    missing = cells(measured)["half", "measured"]
    assert (missing.origin, missing.value, missing.mark, missing.missing_seeds) == ("missing", None, None, (0, 1, 2))


def test_rows_of_the_miniature_that_differ_in_backbone_name_their_stand_in(filled: Any, table: Table) -> None:
    large = Row(key="large", label="Large", run=Variation(backbone="vit-l"))

    _, measured = view_of(filled, replace(table, rows=(*table.rows, large))).parts

    assert (measured.title, measured.details) == ("In the miniature (suite shapes)", ("Stand-in",))
    assert measured.rows[-1].details == ("shapes-vit-l on shapes-coco",)


def test_paper_suite_has_the_measured_row_below_the_quoted_one_with_a_delta(filled: Any, table: Table) -> None:
    filled.measure(FULL, [0.95] * 40, suite=PAPER)

    (part,) = view_of(filled, table, PAPER).parts

    assert [(row.key, row.origin, row.label) for row in part.rows] == [
        ("theirs", "quoted", "Theirs"),
        ("full", "quoted", "Full"),
        ("full", "measured", "Full, measured here"),
        ("half", "measured", "Half, not measured here"),
        ("none", "measured", "None, not measured here"),
    ]
    assert cells(part)["full", "measured"].delta == pytest.approx(-0.004)
    assert cells(part)["full", "quoted"].mark == "best"  # of the two quoted ones; ours does not compete with them
    assert cells(part)["full", "measured"].mark is None


def test_runs_of_a_cell_are_named_with_their_seeds(filled: Any, table: Table) -> None:
    records = [
        filled.measure(FULL, [share + gain for share in EASE], seed=seed) for seed, gain in ((0, 0.0), (2, 0.01))
    ]

    cell = cells(view_of(filled, table).parts[1])["full", "measured"]

    assert [(run.seed, run.evaluation, run.training) for run in cell.runs] == [
        (seed, record.fingerprint, record.evaluation.subject) for seed, record in zip((0, 2), records, strict=True)
    ]
    assert [run.value for run in cell.runs] == pytest.approx([0.495, 0.505])
    assert cell.value == pytest.approx(0.5)
    assert cell.seed_sd == pytest.approx(0.01 / 2**0.5)
    assert cell.seed_interval is None  # of two runs it would say nothing
    assert cell.missing_seeds == (1,)


def test_image_interval_of_several_seeds_is_that_of_their_mean(filled: Any, table: Table) -> None:
    for seed, gain in ((0, 0.0), (1, 0.01), (2, 0.02)):
        filled.measure(FULL, [share + gain for share in EASE], seed=seed)
    filled.measure(HALF, [share + 0.01 for share in EASE])

    found = cells(view_of(filled, table).parts[1])

    # The mean over seeds is, image by image, what the other row has.
    full, half = found["full", "measured"], found["half", "measured"]
    assert full.image_interval == pytest.approx(half.image_interval)
    assert full.image_interval.low < 0.505 < full.image_interval.high
    # t of 2 degrees of freedom is 4.3027; sd 0.01 of three.
    assert full.seed_interval == pytest.approx(
        (0.505 - 4.3027 * 0.01 / 3**0.5, 0.505 + 4.3027 * 0.01 / 3**0.5), abs=1e-6
    )


def test_marks_are_shared_where_noise_does_not_tell_rows_apart(filled: Any, table: Table) -> None:
    filled.measure(FULL, [share + (0.11 if index % 2 else -0.1) for index, share in enumerate(EASE)])
    filled.measure(HALF, EASE)
    filled.measure(NONE, [share - 0.2 for share in EASE])

    found = cells(view_of(filled, table).parts[1])

    assert [found[key, "measured"].mark for key in ("full", "half", "none")] == ["best", "best", "second"]


def test_marks_tell_rows_apart_that_differ_alike_on_every_image(filled: Any, table: Table) -> None:
    for run, gain in ((FULL, 0.02), (HALF, 0.01), (NONE, 0.0)):
        filled.measure(run, [share + gain for share in EASE])

    found = cells(view_of(filled, table).parts[1])

    assert [found[key, "measured"].mark for key in ("full", "half", "none")] == ["best", "second", None]


def test_quoted_figure_with_another_denominator_is_not_marked(filled: Any) -> None:
    def row(key: str, value: float) -> Row:
        return Row(key=key, label=key, published=Published(source="a paper", values={"PAS-20": value}))

    rows = (row("legacy", 99.0), row("first", 90.0), row("other", 80.0))
    note = Note(text="Another denominator.", rows=("legacy",), columns=("PAS-20",))
    table = Table(name="mine", title="", rows=rows, columns=(load_table("table1").columns[4],), notes=(note,))

    view = view_of(filled, table)

    assert [(row.cells[0].mark, row.cells[0].footnotes) for row in view.parts[0].rows] == [
        (None, (1,)),
        ("best", ()),
        (None, ()),
    ]


def test_own_row_without_published_values_is_missing_in_an_empty_store(filled: Any, table: Table) -> None:
    _, measured = view_of(filled, table).parts

    assert [(row.key, row.cells[0].origin) for row in measured.rows] == [("half", "missing"), ("none", "missing")]


def test_boundary_column_of_evaluations_without_boundaries_says_so(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE)
    near = Column(title="PAS-20 near", benchmark="pas-20", score="boundary_iou")

    view = view_of(filled, replace(table, columns=(*table.columns, near)))

    plain, missing = next(row.cells for row in view.parts[1].rows if row.key == "full")
    assert (plain.origin, missing.origin) == ("measured", "missing")
    assert "PAS-20 near: only evaluations that count boundaries are shown; ovlab run makes them." in view.remarks


def test_oracle_columns_of_evaluations_without_oracles_say_so(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE)
    gaps = [Column(title=name, benchmark="pas-20", score=name) for name in ("boundary_gap", "confusion_gap")]

    view = view_of(filled, replace(table, columns=(*table.columns, *gaps)))

    remark = "boundary_gap, confusion_gap: only evaluations that ask oracles are shown; ovlab run makes them."
    assert remark in view.remarks
    assert not any("count boundaries" in remark for remark in view.remarks)


def test_two_ways_of_scoring_in_one_column_are_refused_by_name(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE)
    filled.measure(HALF, EASE, scoring=Scoring(headline="ground_truth_or_prediction"))

    with pytest.raises(InputError, match=r"column 'PAS-20': scored by different rules: row 'full' .* and row 'half'"):
        table_views([table], SHAPES, read_records(filled.store), filled.store)


def test_damaged_record_is_named_and_counts_as_missing(
    filled: Any, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    filled.measure(FULL, EASE)
    record = filled.measure(HALF, EASE)
    (filled.path / "evaluations" / record.fingerprint / "record.json").write_text("{}")

    with caplog.at_level(logging.WARNING):
        (view,) = table_views([table], SHAPES, read_records(filled.store), filled.store)

    assert record.fingerprint in caplog.text
    found = cells(view.parts[1])
    assert (found["full", "measured"].origin, found["half", "measured"].origin) == ("measured", "missing")


def test_counts_of_other_images_give_no_interval_and_are_named(
    filled: Any, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    filled.measure(FULL, EASE)
    other = filled.measure(HALF, EASE[:-1])

    found = cells(view_of(filled, table).parts[1])

    assert found["full", "measured"].image_interval is not None
    assert found["half", "measured"].image_interval is None
    assert f"evaluation {other.fingerprint[:12]}: counts of other images" in caplog.text


def test_region_grid_of_a_stand_in_is_the_one_that_was_trained() -> None:
    (row,) = (row for row in load_table("table4").rows if row.key == "zero-8")

    assert stand_in(row, SHAPES) == "shapes-vit-s on shapes-coco, 4×4 regions"
    assert stand_in(row, PAPER) == "vit-b16 on coco-stuff, 8×8 regions"
    assert stand_in(replace(row, run=None, published=Published(source="", values={})), SHAPES) == ""
