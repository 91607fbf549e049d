"""What a plan will take on given machines, by the scheduler of a sweep run without work: see `schedule`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from ovlab.runs.planned import Estimate, PlannedEvaluation, PlannedRun, PlannedTraining
from ovlab.specs.errors import InputError
from ovlab.store.store import Store
from ovlab.sweeps.schedule import Division, Span, run_seconds, simulate
from ovlab.sweeps.speed import Speeds
from ovlab.sweeps.timeline import read_all_timelines

_MACHINES = re.compile(r"(?:(\d+)\s*x\s*)?(\d+)(?:\s+(\S.*))?")
DECLARED = "a declared speed"


class Machines(NamedTuple):
    """So many, with so many GPUs each."""

    number: int
    gpus_each: int
    gpu: str

    @property
    def num_gpus(self) -> int:
        return self.number * self.gpus_each

    def __str__(self) -> str:
        return f"{self.number} x {self.gpus_each} {self.gpu}".rstrip()


def parse_machines(text: str) -> Machines:
    """ "2 x 8 H200", or "8 H200" for one machine. Raises InputError for anything else."""
    found = _MACHINES.fullmatch(text.strip())
    if found is None or not int(found[2]) * int(found[1] or 1):
        raise InputError(f"--on {text!r}: give machines and their GPUs, for example '2 x 8 H200' or '4 x 1 RTX 4090'.")
    return Machines(int(found[1] or 1), int(found[2]), found[3] or "GPU")


class Starts(NamedTuple):
    """Seconds in which no work is done: before the first run begins, and of each run."""

    sweep: float = 0.0
    run: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The sweep takes `seconds` by the clock, of which the GPUs that a run has are held for `held_gpu_seconds`.
    spans: of the missing runs, in the order of the plan. devices: on which their speeds were measured."""

    machines: Machines
    num_places: int
    num_processes: int
    seconds: float
    held_gpu_seconds: float
    spans: tuple[Span, ...]
    devices: tuple[str, ...]
    starts: Starts

    @property
    def gpu_seconds(self) -> float:
        """Of all GPUs of the machines, from the beginning to the end, which is what one pays for."""
        return self.machines.num_gpus * self.seconds

    @property
    def idle(self) -> float:
        """The share of them that no run holds."""
        return 1.0 - self.held_gpu_seconds / self.gpu_seconds if self.gpu_seconds else 0.0


def forecast(runs: Sequence[PlannedRun], machines: Machines, division: Division, starts: Starts) -> Forecast:
    """Of `runs`, those that a plan is missing.

    Raises InputError where the machines have no room for one, and where nothing like one of them was measured.
    """
    num_places, num_processes = division.num_places(float(machines.num_gpus)), division.most_processes
    if not num_places:
        raise InputError(f"--on {machines}: a run needs more GPUs than these; see --processes-per-run and --max-gpus.")
    known = [run_seconds(run, num_processes) for run in runs]
    seconds = [starts.run + one for one in known if one is not None]
    if len(seconds) < len(known):
        unknown = [run.name for run, one in zip(runs, known, strict=True) if one is None]
        raise InputError(
            f"--on {machines}: nothing like {len(unknown)} of the {len(runs)} missing runs was measured, {unknown[0]} "
            f"for one; declare --update-seconds and --image-seconds."
        )
    spans = simulate(seconds, num_places)
    return Forecast(
        machines=machines,
        num_places=num_places,
        num_processes=num_processes,
        seconds=starts.sweep + max((span.end for span in spans), default=0.0),
        held_gpu_seconds=num_processes * sum(seconds),
        spans=tuple(sorted(spans)),
        devices=tuple(dict.fromkeys(part.estimate.device for run in runs for part in run.parts if part.estimate)),
        starts=starts,
    )


def with_declared(run: PlannedRun, update_seconds: float | None, image_seconds: float | None) -> PlannedRun:
    """The run with the speeds of one process that are given, in the place of those that were measured."""
    subject = run.subject
    if isinstance(subject, PlannedTraining) and subject.status == "missing" and update_seconds is not None:
        subject = replace(subject, estimate=_declared(update_seconds * (subject.num_steps - subject.step)))
    evaluations = run.evaluations
    if image_seconds is not None:
        evaluations = tuple(_evaluation(part, image_seconds) for part in evaluations)
    return replace(run, subject=subject, evaluations=evaluations)


def measured_starts(store: Store, num_processes: int) -> Starts:
    """Those of the newest sweep in the store whose runs had so many processes; none where there was no such one."""
    speeds = Speeds(store)
    trainings = {record.fingerprint: record for record in speeds.trainings}
    timelines = read_all_timelines(store, speeds.subjects)
    for timeline in sorted(timelines, key=lambda timeline: -timeline.began):
        starts = []
        for bar in timeline.bars:
            evaluated = sum(
                record.cost.seconds for record in speeds.evaluations if record.evaluation.subject == bar.run
            )
            if evaluated and timeline.num_processes == num_processes:
                record = trainings.get(bar.run)
                trained = 0.0 if record is None else record.num_steps * speeds.seconds_an_update(record)
                starts.append(max(0.0, bar.end - bar.start - trained - evaluated / num_processes))
        if starts:
            return Starts(min(bar.start for bar in timeline.bars), median(starts))
    return Starts()


def _evaluation(part: PlannedEvaluation, image_seconds: float) -> PlannedEvaluation:
    if part.status != "missing":
        return part
    share = 1 - part.num_shards_done / part.num_shards
    return replace(part, estimate=_declared(image_seconds * part.num_images * share))


def _declared(seconds: float) -> Estimate:
    return Estimate(seconds, None, seconds, DECLARED, is_rehearsed=False)
