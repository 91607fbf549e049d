"""The geometry of two kinds of charts; the templates draw them as SVG, in the colours of the page.

A panel is a rectangle of WIDTH x HEIGHT units with the origin at its upper left. Inside it the figures lie between the
margins; every position here is in those units.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ovlab.metrics.intervals import Interval

WIDTH, HEIGHT = 280.0, 184.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 12.0, 8.0, 38.0
# Between the marks of two series at one place.
_DODGE = 9.0
# Points of a curve: as many as a screen can show.
_MAX_POINTS = 240
# So much of a curve is what its smoothed line averages over.
_SMOOTHED_OVER = 1 / 24


class Tick(NamedTuple):
    position: float
    label: str


class Mark(NamedTuple):
    """A value with its interval and the single values behind it; `text` says it in words."""

    x: float
    y: float
    low: float | None
    high: float | None
    runs: tuple[float, ...]
    text: str


class Series(NamedTuple):
    """`path`: the line through the marks, in the syntax of SVG; "" for none."""

    label: str
    marks: tuple[Mark, ...]
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """`x_title` stands below the ticks of x, `y_title` beside those of y; `description` is for those who do not see
    it. band: upper and lower end of what is marked as a band, zero: where a difference is none; None for no such
    mark."""

    title: str
    x_title: str
    y_title: str
    description: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    band: tuple[float, float] | None = None
    zero: float | None = None

    @property
    def view_box(self) -> str:
        return f"0 0 {WIDTH:g} {HEIGHT:g}"

    @property
    def sides(self) -> tuple[float, float]:
        """Left and right end of the horizontal lines."""
        return LEFT, WIDTH - RIGHT

    @property
    def label_y(self) -> float:
        """Where the words of the x ticks stand."""
        return HEIGHT - 0.62 * BOTTOM

    @property
    def x_title_place(self) -> tuple[float, float]:
        """The middle of the line on which `x_title` stands."""
        return (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4

    @property
    def y_title_place(self) -> tuple[float, float]:
        """The middle of the upright line on which `y_title` stands."""
        return 11.0, (TOP + HEIGHT - BOTTOM) / 2


class Level(NamedTuple):
    """A measured value at one level of a factor; `place` counts the levels from 0. Fractions."""

    place: int
    value: float
    interval: Interval | None
    runs: tuple[float, ...]
    text: str


def interval_panel(
    title: str, x_title: str, levels: Sequence[str], series: Sequence[tuple[str, Sequence[Level]]]
) -> Panel:
    """Values with intervals over the levels of a factor, in percent; neighbouring levels are joined by a line."""
    shown = [level for _, found in series for level in found]
    extremes = [
        100 * value
        for level in shown
        for value in (level.value, *level.runs, *(level.interval if level.interval is not None else ()))
    ]
    low, high = _padded(min(extremes), max(extremes))
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - LEFT - RIGHT) / len(levels)
    centres = [LEFT + step * (place + 0.5) for place in range(len(levels))]
    drawn = []
    for number, (label, found) in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * _DODGE
        marks = tuple(_mark(level, centres[level.place] + shift, y) for level in found)
        places = [level.place for level in found]
        drawn.append(Series(label, marks, _path(marks, [b - a == 1 for a, b in pairwise(places)])))
    return Panel(
        title=title,
        x_title=x_title,
        y_title="mIoU, %",
        description=f"{title} over {x_title}: " + "; ".join(level.text for level in shown),
        x_ticks=tuple(Tick(centre, label) for centre, label in zip(centres, levels, strict=True)),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in nice_ticks(low, high)),
        series=tuple(drawn),
    )


def looks_panel(title: str, x_title: str, levels: Sequence[str], found: Sequence[Level], margin: float) -> Panel:
    """A difference with its interval at each look, in points, with zero and the band within +- `margin`. Early
    intervals are many times as wide as what is decided at last: they are cut off at the frame."""
    last = found[-1].interval
    widest = 100 * max(margin, *(abs(bound) for bound in last or ()), *(abs(level.value) for level in found))
    low, high = -1.2 * widest, 1.2 * widest
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)

    def inside(value: float) -> float:
        return y(min(max(value, low), high))

    step = (WIDTH - LEFT - RIGHT) / len(levels)
    centres = [LEFT + step * (place + 0.5) for place in range(len(levels))]
    marks = tuple(_mark(level, centres[level.place], inside) for level in found)
    return Panel(
        title=title,
        x_title=x_title,
        y_title="points",
        description=f"{title} over {x_title}: " + "; ".join(level.text for level in found),
        x_ticks=tuple(Tick(centre, label) for centre, label in zip(centres, levels, strict=True)),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in nice_ticks(low, high)),
        series=(Series("", marks, _path(marks, [True] * (len(marks) - 1))),),
        band=(y(100 * margin), y(-100 * margin)),
        zero=y(0.0),
    )


def curve_panel(title: str, x_title: str, y_title: str, xs: Sequence[float], ys: Sequence[float]) -> Panel | None:
    """A line and the same line smoothed; of a long one, the means of neighbouring points. None for fewer than two
    finite points."""
    found = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    if len(found) < 2:
        return None
    size = -(-len(found) // _MAX_POINTS)
    bins = [found[start : start + size] for start in range(0, len(found), size)]
    means = [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in bins]
    smooth = [(x, y) for (x, _), y in zip(means, smoothed([y for _, y in means]), strict=True)]
    low, high = _padded(min(value for _, value in means), max(value for _, value in means))
    x = _scale(found[0][0], found[-1][0], LEFT, WIDTH - RIGHT)
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    paths = ("M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points) for points in (means, smooth))
    return Panel(
        title=title,
        x_title=x_title,
        y_title=y_title,
        description=f"{title} over {x_title}: from {means[0][1]:.4g} to {means[-1][1]:.4g}",
        x_ticks=tuple(Tick(x(value), f"{value:g}") for value in nice_ticks(found[0][0], found[-1][0], 4)),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in nice_ticks(low, high)),
        series=tuple(Series(label, (), path) for label, path in zip(("", "smoothed"), paths, strict=True)),
    )


def smoothed(values: Sequence[float]) -> list[float]:
    """The exponential moving average over a twenty-fourth of the values, without the bias of its beginning."""
    weight = max(0.0, 1 - 1 / (_SMOOTHED_OVER * len(values)))
    found, average = [], 0.0
    for number, value in enumerate(values, start=1):
        average = weight * average + (1 - weight) * value
        found.append(average / (1 - weight**number))
    return found


def nice_ticks(low: float, high: float, num: int = 5) -> list[float]:
    """At most `num` round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / num))
    for factor in (1, 2, 5, 10, 20):
        step = power * factor
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < num:
            break
    return [round(step * index, 12) for index in range(first, last + 1)]


def _mark(level: Level, x: float, y: Callable[[float], float]) -> Mark:
    low, high = (None, None) if level.interval is None else (y(100 * bound) for bound in level.interval)
    return Mark(x, y(100 * level.value), low, high, tuple(y(100 * run) for run in level.runs), level.text)


def _path(marks: Sequence[Mark], joined: Sequence[bool]) -> str:
    parts = [f"M{mark.x:.1f} {mark.y:.1f}" for mark in marks[:1]]
    for mark, is_joined in zip(marks[1:], joined, strict=True):
        parts.append(f"{'L' if is_joined else 'M'}{mark.x:.1f} {mark.y:.1f}")
    return "".join(parts)


def _padded(low: float, high: float) -> tuple[float, float]:
    """A little room on both sides; of equal values, one unit."""
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)
