"""Where the marks of a chart stand."""

import pytest

from ovlab.metrics.intervals import Interval
from ovlab.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Level,
    curve_panel,
    interval_panel,
    looks_panel,
    nice_ticks,
    smoothed,
)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 10.0, [0, 5, 10]),
        (11.2, 14.9, [12, 13, 14]),
        (0.0011, 0.0039, [0.0015, 0.002, 0.0025, 0.003, 0.0035]),
        (-3.0, 3.0, [-2, 0, 2]),
        (1.0, 80_000.0, [20_000, 40_000, 60_000, 80_000]),
        (99.978, 100.022, [99.98, 99.99, 100, 100.01, 100.02]),
    ],
)
def test_nice_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_interval_panel_draws_every_mark_inside_its_interval_and_the_frame() -> None:
    levels = [
        Level(0, 0.10, Interval(0.08, 0.12), (0.09, 0.11), "low"),
        Level(1, 0.20, None, (), "no noise known"),
        Level(3, 0.15, Interval(0.11, 0.19), (), "behind a gap"),
    ]

    panel = interval_panel("A", "λ", ["0", "0.5", "1", "adaptive"], [("one", levels), ("two", levels[:1])])

    first, second = panel.series
    low, high = HEIGHT - BOTTOM, TOP
    for mark, level in zip(first.marks, levels, strict=True):
        assert LEFT < mark.x < WIDTH - RIGHT
        assert high < mark.y < low
        assert (mark.low is None) == (level.interval is None)
        assert mark.low is None or low > mark.low > mark.y > mark.high > high
    # Above is more.
    assert first.marks[1].y < first.marks[2].y < first.marks[0].y
    assert first.marks[0].runs[0] > first.marks[0].y > first.marks[0].runs[1]
    # Two series at one level stand side by side; the line does not cross the level that one of them lacks.
    assert first.marks[0].x < second.marks[0].x
    assert [part[0] for part in first.path.replace("L", " L").replace("M", " M").split() if part[0] in "ML"] == [
        "M",
        "L",
        "M",
    ]
    assert [tick.label for tick in panel.x_ticks] == ["0", "0.5", "1", "adaptive"]
    assert "behind a gap" in panel.description


def test_interval_panel_of_one_value_has_a_scale() -> None:
    panel = interval_panel("A", "depth", ["1"], [("", [Level(0, 0.5, None, (), "half")])])

    assert panel.series[0].marks[0].y == pytest.approx((TOP + HEIGHT - BOTTOM) / 2)


def test_curve_of_many_updates_is_drawn_by_means() -> None:
    steps = [float(step) for step in range(1, 80_001)]

    panel = curve_panel("Loss", "update", "loss", steps, [1.0 if step % 2 else 3.0 for step in range(80_000)])

    points = panel.series[0].path.removeprefix("M").split("L")
    assert len(points) <= 240
    # Every mean is 2, so the line is level in the middle.
    assert {point.split()[1] for point in points} == {f"{(TOP + HEIGHT - BOTTOM) / 2:.1f}"}


def test_smoothed_curve_is_level_where_values_are_and_slower_than_they_are_elsewhere() -> None:
    assert smoothed([2.0] * 100) == pytest.approx([2.0] * 100)
    assert smoothed([1.0, 5.0, 3.0]) == [1.0, 5.0, 3.0]  # too few to average over

    # Over 48 / 24 = 2 values the weight is a half: after the first 1, 0.5 / (1 - 0.5^25).
    step = smoothed([0.0] * 24 + [1.0] * 24)

    assert step[23] == 0
    assert step[24] == pytest.approx(0.5 / (1 - 0.5**25))
    assert step == sorted(step)


def test_curve_leaves_out_what_is_not_finite() -> None:
    nan = float("nan")

    assert curve_panel("Loss", "update", "loss", [1.0, 2.0, 3.0], [nan, 1.0, nan]) is None
    assert curve_panel("Loss", "update", "loss", [1.0, 2.0, 3.0], [2.0, nan, 1.0]).description.endswith("from 2 to 1")


def test_looks_panel_cuts_wide_intervals_off_at_the_frame_and_marks_zero_and_the_margin() -> None:
    found = [
        Level(0, 0.012, Interval(-5.0, 5.0), (), "3 seeds"),
        Level(2, 0.010, Interval(0.002, 0.018), (), "8 seeds"),
    ]

    panel = looks_panel("A", "seeds", ["3", "5", "8"], found, 0.005)

    (series,) = panel.series
    early, late = series.marks
    assert (early.low, early.high) == pytest.approx((HEIGHT - BOTTOM, TOP))
    assert HEIGHT - BOTTOM > late.low > late.y > late.high > TOP
    assert panel.zero is not None
    assert panel.band is not None
    assert panel.zero > late.low
    assert sum(panel.band) / 2 == pytest.approx(panel.zero)
    # Half a point on each side, as long as the same on the interval of the last look.
    assert (panel.band[1] - panel.band[0]) / 1.0 == pytest.approx((late.low - late.high) / 1.6)
    assert [tick.label for tick in panel.x_ticks] == ["3", "5", "8"]
    assert early.x < panel.x_ticks[1].position < late.x
