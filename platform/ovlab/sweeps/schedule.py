"""Which run begins when: the longest first, each where first there is room. What a sweep on Ray does, and what a plan
foresees, without a Ray.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.specs.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Division:
    """How a cluster is divided among runs.

    num_processes: of a run; (fewest, most) for as many as there is room for; None for one that shares its GPU, or its
    processor, where more runs at once are asked for. num_at_once: runs at a time; None: as many as there is room for.
    max_gpus: that are reserved.
    """

    num_processes: int | tuple[int, int] | None = None
    num_at_once: int | None = None
    max_gpus: int | None = None

    @property
    def most_processes(self) -> int:
        """Of a run."""
        return self.num_processes[1] if isinstance(self.num_processes, tuple) else self.num_processes or 1

    def num_places(self, num_units: float) -> int:
        """How many runs there is room for on so many GPUs, or on processors where no GPU is reserved."""
        units = int(num_units if self.max_gpus is None else min(num_units, self.max_gpus))
        if self.num_processes is None:
            return self.num_at_once or max(1, units)
        fewest, most = (
            self.num_processes if isinstance(self.num_processes, tuple) else (self.num_processes, self.num_processes)
        )
        places, left = divmod(units, most)
        # An elastic run in what is left would grow over a bound.
        if left >= fewest and (self.max_gpus is None or not places):
            places += 1
        return places if self.num_at_once is None else min(places, self.num_at_once)


def divided(
    num_processes: int | tuple[int, int] | None, num_at_once: int | None = None, max_gpus: int | None = None
) -> Division:
    """A division whose runs keep to `max_gpus` by themselves. Raises InputError where none of them could begin."""
    fewest, most = num_processes if isinstance(num_processes, tuple) else (num_processes or 1, num_processes or 1)
    if max_gpus is not None and max_gpus < fewest:
        raise InputError(f"--max-gpus {max_gpus}: a run needs {fewest}; see --processes-per-run.")
    if max_gpus is not None and isinstance(num_processes, tuple):
        num_processes = (fewest, min(most, max_gpus))
    return Division(num_processes=num_processes, num_at_once=num_at_once, max_gpus=max_gpus)


class Span(NamedTuple):
    """The `run`-th of the given runs is made in a place, from `start` to `end`, in seconds."""

    run: int
    place: int
    start: float
    end: float


def longest_first(seconds: Sequence[float | None]) -> list[int]:
    """The order of runs that take so long. What nobody knows may be the longest."""
    return sorted(range(len(seconds)), key=lambda run: (seconds[run] is not None, -(seconds[run] or 0.0)))


def simulate(seconds: Sequence[float], num_places: int) -> list[Span]:
    """When each of these runs begins and ends, the longest first, on so many places."""
    free = [(0.0, place) for place in range(num_places)]
    spans = []
    for run in longest_first(seconds):
        start, place = heapq.heappop(free)
        spans.append(Span(run, place, start, start + seconds[run]))
        heapq.heappush(free, (start + seconds[run], place))
    return spans


def run_seconds(run: PlannedRun, num_processes: int) -> float | None:
    """How long what is missing of a run will take, if so many processes make it: the images of evaluations are divided
    among them, and so is the work of a training that was measured on another number of GPUs. None where nothing like a
    part of it was measured."""
    total = 0.0
    for part in run.parts:
        if part.status == "missing":
            if part.estimate is None:
                return None
            if not isinstance(part, PlannedTraining):
                total += part.estimate.seconds / num_processes
            elif part.estimate.gpu_seconds:
                total += part.estimate.gpu_seconds / num_processes
            else:
                total += part.estimate.seconds
    return total
