"""One run of a plan: its training, then its evaluations, each only if the store has it not. What a trial calls."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ovlab.runs.context import RunContext
from ovlab.runs.counting import EvaluationJob
from ovlab.runs.ensure import NO_PROVENANCE, ensure_training, open_trained
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.failure import Failure, explained
from ovlab.runs.here import Here
from ovlab.runs.observer import Observer
from ovlab.runs.planned import Plan, PlannedRun
from ovlab.runs.progress import Progress, Silent
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.events import Begun, Counts
from ovlab.specs.resolved import ResolvedTraining
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store
from ovlab.tracking.provenance import Source
from ovlab.training.step_log import StepRecord

# `ovlab.runs.progress.open_progress`, or what is called like it.
OpenProgress = Callable[..., AbstractContextManager[Progress]]


class RunRecords(NamedTuple):
    """What the store has of a run after it was made. `evaluations` are in the order of the plan."""

    training: TrainingRecord
    evaluations: tuple[EvaluationRecord, ...]


@contextmanager
def no_progress(*_arguments: object, **_options: object) -> Iterator[Progress]:
    """Shows nothing."""
    yield Silent()


def run_one(
    planned: PlannedRun,
    store: Store,
    workdir: Path,
    *,
    sources: Sources,
    device: torch.device,
    num_loader_workers: int = 1,
    checkpoint_every: int = 500,
    open_progress: OpenProgress = no_progress,
    stop: Callable[[], bool] = lambda: False,
    on_step: Sequence[Callable[[StepRecord], None]] = (),
    on_checkpoint: Sequence[Callable[[int, Path], None]] = (),
    on_counts: Sequence[Callable[[Counts], None]] = (),
    on_record: Sequence[Callable[[TrainingRecord | EvaluationRecord], None]] = (),
    provenance: Mapping[str, Any] = NO_PROVENANCE,
    mlflow_run_id: str | None = None,
) -> RunRecords:
    """Make what is missing of a run; what is done is taken from the store. The run folder is in `workdir`.

    The hooks `on_record` get the record of the training before anything is evaluated, then those of the evaluations.
    An evaluation that is blocked does not keep the others from being made. Raises Stopped when `stop` says so,
    InputError when the training is blocked or the data have changed since the plan, and WorkError, after the rest is
    done, when an evaluation is blocked.
    """
    training, resolved = planned.training, require_resolved(planned)
    spec = resolved.spec
    with open_progress(
        f"train {training.fingerprint[:12] if training.fingerprint else ''}",
        total=spec.schedule.steps,
        unit="step",
        images_per_unit=spec.schedule.batch_size,
    ) as progress:
        record = ensure_training(
            resolved,
            store,
            workdir,
            dataset=sources.dataset(spec.dataset, spec.split),
            clip_file=sources.clip_file(training.preset),
            device=device,
            num_loader_workers=num_loader_workers,
            checkpoint_every=checkpoint_every,
            progress=progress,
            stop=stop,
            on_step=on_step,
            on_checkpoint=on_checkpoint,
            provenance=provenance,
            mlflow_run_id=mlflow_run_id,
        )
    for hook in on_record:
        hook(record)
    jobs = [
        EvaluationJob(part.spec, sources.dataset(part.spec.benchmark, part.spec.split))
        for part in planned.evaluations
        if part.spec is not None
    ]

    class Hooks(Observer):
        """What the hooks and the progress line hear of the evaluations."""

        def __init__(self, progress: Progress, total: int) -> None:
            self.progress, self.num_done = progress, total

        def on_begin(self, begun: Begun) -> None:
            self.num_done -= begun.total - begun.num_done

        def on_counts(self, counts: Counts) -> None:
            self.num_done += counts.num_images
            self.progress.update(self.num_done)
            for hook in on_counts:
                hook(counts)

        def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
            for hook in on_record:
                hook(record)

    total = sum(len(job.images) for job in jobs)
    with open_progress(f"evaluate {record.fingerprint[:12]}", total=total, unit="image") as progress:
        context = RunContext(
            store=store,
            workdir=workdir,
            device=str(device),
            source=Source(**provenance.get("source", {})),
            stop=stop,
            observer=Hooks(progress, total),
        )
        opener = partial(open_trained, record, store, workdir)
        evaluations = ensure_evaluations(jobs, {record.fingerprint: opener}, context, Here())
    if planned.problems:
        raise WorkError(" ".join(planned.problems))
    return RunRecords(record, tuple(evaluations))


def require_resolved(planned: PlannedRun) -> ResolvedTraining:
    """The training of a run with its identity. Raises InputError with the reasons why it has none."""
    if planned.training.resolved is None:
        raise InputError(" ".join(planned.training.problems))
    return planned.training.resolved


def run_missing(plan: Plan, run: Callable[[PlannedRun], object], on_failure: Callable[[Failure], object]) -> None:
    """Call `run` for every run of the plan that is not done, one after the other.

    One that fails does not keep the next from being made: `on_failure` is told, and the traceback of an unexpected
    error is printed. Stopped passes through.
    """
    for planned in plan.runs:
        if planned.status == "done":
            continue
        try:
            run(planned)
        except Stopped:
            raise
        except Exception as error:  # whatever it is, it is the end of this run and of no other
            cause, report = explained(error)
            if report is not None:
                print(report, file=sys.stderr)
            on_failure(Failure(planned, cause))
