"""Which rows of a table make a chart."""

from dataclasses import replace
from typing import Any

from ovlab.report.ablations import Ablation, ablations
from ovlab.report.table_view import CellView, ColumnView, Part, RowView, RunView
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Variation
from ovlab.specs.training import TrainingSpec

COLUMN = ColumnView(key="A", title="A", benchmark="shapes-a-150", score="miou")


def charts_of(**models: dict[str, Any]) -> list[Ablation]:
    """Of a table with a measured row a keyword, each of two seeds: what its model differs in from the suite's."""
    rows, specs = [], {}
    for number, (key, model) in enumerate(models.items()):
        specs |= {f"{key}{seed}": spec(model, seed) for seed in (0, 1)}
        runs = tuple(RunView(seed, 0.1 * number, f"{key}{seed}", "evaluation") for seed in (0, 1))
        cell = CellView(origin="measured", value=0.1 * number, published=None, runs=runs)
        rows.append(RowView(key=key, label=key, group="", origin="measured", details=(), cells=(cell,)))
    return ablations(Part(title="", details=(), columns=(COLUMN,), rows=tuple(rows)), specs)


def spec(model: dict[str, Any], seed: int) -> TrainingSpec:
    return Variation(model=model).training(SHAPES, seed)


def drawn(chart: Ablation) -> list[list[str]]:
    """The texts of the marks of each line, in its one panel."""
    (panel,) = chart.panels
    return [[mark.text for mark in series.marks] for series in panel.series]


def test_rows_that_differ_in_one_number_make_a_chart_in_the_order_of_the_number() -> None:
    (chart,) = charts_of(
        c={"prior_weight": 1.0}, a={"prior_weight": 0.0}, w={"prior_weight": "adaptive"}, b={"prior_weight": 0.5}
    )

    assert chart.title == "weight of the prior, λ"
    assert drawn(chart) == [["a: 10.0", "b: 30.0", "c: 0.0", "w: 20.0"]]
    assert [tick.label for tick in chart.panels[0].x_ticks] == ["0", "0.5", "1", "adaptive"]


def test_two_factors_make_two_charts_with_a_line_for_each_value_of_the_other() -> None:
    weight, grid = charts_of(
        a={"prior_weight": 0.0, "region_grid": 2},
        b={"prior_weight": 0.0, "region_grid": 3},
        c={"prior_weight": 1.0, "region_grid": 2},
        d={"prior_weight": 1.0, "region_grid": 3},
        alone={"prior_weight": 0.5, "region_grid": 4},
    )

    assert weight.series == ("region grid = 2", "region grid = 3")
    assert drawn(weight) == [["a: 0.0", "c: 20.0"], ["b: 10.0", "d: 30.0"]]
    assert grid.series == ("prior weight = 0", "prior weight = 1")
    assert drawn(grid) == [["a: 0.0", "b: 10.0"], ["c: 20.0", "d: 30.0"]]


def test_parts_that_are_switched_off_make_no_chart() -> None:
    assert charts_of(a={"region_alignment": False}, b={}, c={"cross_modal_fusion": False}) == []


def test_row_that_is_not_measured_is_left_out() -> None:
    cells = {
        origin: CellView(origin=origin, value=None, published=0.3)  # type: ignore[arg-type]
        for origin in ("missing", "quoted")
    }
    rows = tuple(
        RowView(key=origin, label=origin, group="", origin="measured", details=(), cells=(cell,))
        for origin, cell in cells.items()
    )

    assert ablations(Part(title="", details=(), columns=(COLUMN,), rows=rows), {}) == []


def test_equal_rows_stand_in_a_chart_once() -> None:
    (chart,) = charts_of(full={"fusion_depth": 2}, one={"fusion_depth": 1}, two={"fusion_depth": 2})

    assert drawn(chart) == [["one: 10.0", "full: 0.0"]]


def test_other_schedule_is_a_factor_too() -> None:
    base = spec({}, 0)
    specs = {str(steps): replace(base, schedule=replace(base.schedule, steps=steps)) for steps in (100, 300)}
    rows = tuple(
        RowView(
            key=steps,
            label=steps,
            group="",
            origin="measured",
            details=(),
            cells=(CellView(origin="measured", value=0.2, published=None, runs=(RunView(0, 0.2, steps, "e"),)),),
        )
        for steps in specs
    )

    (chart,) = ablations(Part(title="", details=(), columns=(COLUMN,), rows=rows), specs)

    assert chart.title == "updates"
