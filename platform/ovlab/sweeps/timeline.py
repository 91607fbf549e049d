"""How a sweep went, read from its journals: which run was made when, and how much of the room for runs stood idle."""

import heapq
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from ovlab.specs.events import Begun, Places
from ovlab.store.journal import AttemptLog, journaled_runs, read_journal
from ovlab.store.store import Store
from ovlab.tracking.tags import children_in


class Bar(NamedTuple):
    """An attempt at a run, in seconds since the sweep began. `trained`: when its training was over; `start` where there
    was none, `end` where no evaluation began. `place`: counted from 0, that of no other attempt at that time."""

    run: str
    name: str
    start: float
    trained: float
    end: float
    place: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """An attempt at a sweep, which began at `began`, in seconds since 1970, and took `seconds`. `places`: from when on
    there was room for how many runs, of `num_processes` each."""

    sweep: str
    began: float
    seconds: float
    num_processes: int
    places: tuple[tuple[float, int], ...]
    bars: tuple[Bar, ...]

    @property
    def start(self) -> str:
        """When it began, as the records write times."""
        return datetime.fromtimestamp(self.began, UTC).isoformat(timespec="seconds")

    @property
    def pieces(self) -> list[tuple[float, float, int]]:
        """From when to when there was room for how many runs."""
        ends = [time for time, _ in self.places[1:]] + [self.seconds]
        return [(start, end, number) for (start, number), end in zip(self.places, ends, strict=True)]

    @property
    def idle(self) -> float:
        """The share of the room in which no run was made."""
        return self._share(lambda bars, time: float("inf"))

    @property
    def idle_beside_work(self) -> float:
        """The same of the time in which some run had yet to begin, each of which could have filled one place."""
        return self._share(lambda bars, time: sum(bar.start >= time for bar in bars))

    def _share(self, most: Callable[[Sequence[Bar], float], float]) -> float:
        room = empty = 0.0
        for start, end, number in self._pieces():
            at_work = sum(bar.start <= start and end <= bar.end for bar in self.bars)
            room += number * (end - start)
            empty += min(max(0, number - at_work), most(self.bars, end)) * (end - start)
        return empty / room if room else 0.0

    def _pieces(self) -> Iterator[tuple[float, float, int]]:
        """Between two of them nothing begins, ends or changes: from, to, and the number of places."""
        times = {0.0, self.seconds, *(time for time, _ in self.places)}
        times |= {time for bar in self.bars for time in (bar.start, bar.end)}
        for start, end in pairwise(sorted(time for time in times if 0.0 <= time <= self.seconds)):
            yield start, end, next((number for time, number in reversed(self.places) if time <= start), 0)


def read_timelines(store: Store, sweep: str) -> list[Timeline]:
    """One for each attempt at the sweep in which runs were made, the oldest first; none for a run that is no sweep."""
    log = read_journal(store, sweep)
    if log.header is None or not (children := children_in(log.header.tags)):
        return []
    names = {child.training: child.name for child in children if child.training is not None}
    attempts = [(run, attempt) for run in names for attempt in read_journal(store, run).attempts]
    found = []
    for one in log.attempts:
        told = [(event.time - one.began, event.event) for event in one.events if isinstance(event.event, Places)]
        seconds = one.last_sign - one.began
        bars = [
            bar
            for run, attempt in attempts
            if (bar := _bar(run, names[run], attempt, one.began)).start >= 0.0 and bar.start < seconds
        ]
        if told and bars:
            found.append(
                Timeline(
                    sweep=log.header.name,
                    began=one.began,
                    seconds=seconds,
                    num_processes=told[-1][1].num_processes,
                    places=tuple((time, places.num_places) for time, places in told),
                    bars=tuple(in_places(bars)),
                )
            )
    return found


def read_all_timelines(store: Store, subjects: Container[str]) -> list[Timeline]:
    """Those of every sweep of the store, of whose runs `subjects` have records."""
    # What has a journal and no record is a sweep, or a run that is not finished.
    others = [run for run in journaled_runs(store) if run not in subjects]
    return [timeline for run in others for timeline in read_timelines(store, run)]


def in_places(bars: Sequence[Bar]) -> Iterator[Bar]:
    """The same by their start, each in the first place that is free."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for bar in sorted(bars, key=lambda bar: bar.start):
        while busy and busy[0][0] <= bar.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        place = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (bar.end, place))
        yield bar._replace(place=place)


def _bar(run: str, name: str, attempt: AttemptLog, began: float) -> Bar:
    start, end = attempt.began, attempt.last_sign
    evaluated = next(
        (told.time for told in attempt.events if isinstance(told.event, Begun) and told.event.work == "evaluation"), end
    )
    return Bar(run, name, start - began, evaluated - began, end - began)
