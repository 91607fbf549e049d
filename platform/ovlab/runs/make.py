"""One run of a plan: its training, then its evaluations, each only if the store has it not. What a trial calls."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ovlab.runs.alone import alone
from ovlab.runs.clip_files import provenance_of
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.header import header_of
from ovlab.runs.journaling import journaled
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.runs.subject import open_stored, opener_of
from ovlab.runs.trainings import ensure_training
from ovlab.runs.work import EvaluationJob
from ovlab.specs.errors import WorkError
from ovlab.specs.evaluation import Untrained

# Seconds in which a process that was killed ends and lets its run go.
PATIENCE = 60.0


def make_run(run: PlannedRun, context: RunContext, executor: Executor) -> None:
    """Make what is missing of a run; what is done is taken from the store.

    Observers hear of the record of the training before anything is evaluated, then of those of the evaluations. An
    evaluation that is blocked does not keep the others from being made. Raises Stopped when `context.stop` says so,
    InputError when the training is blocked, the data have changed since the plan or another command is at the run, and
    WorkError, after the rest is done, when an evaluation is blocked.
    """
    header = header_of(run, context.source, context.sources)
    with (
        alone(context.store, header.run, run.name, seconds=PATIENCE),
        journaled(header, context) as inner,
    ):
        untrained: Untrained | None = None
        clip_origin = None
        if isinstance(run.subject, PlannedTraining):
            record = ensure_training(run.subject, inner, executor)
            opener: Callable[[], Any] = partial(open_stored, context.store, record, context.sources.method_files)
        else:
            untrained, opener = run.subject.subject, opener_of(run.subject, context.sources)
            clip_origin = provenance_of(run.subject.model.clip, context.sources.clip_file(run.subject.preset))
        jobs = [
            EvaluationJob(
                part.spec, context.sources.dataset(part.spec.benchmark, part.spec.split), untrained, clip_origin
            )
            for part in run.evaluations
            if part.spec is not None
        ]
        ensure_evaluations(jobs, {header.run: opener}, inner, executor)
        if run.problems:
            raise WorkError(" ".join(run.problems))
