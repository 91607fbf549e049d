"""The executor that is this process: one run after the other, one image after the other."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure, explained
from ovlab.runs.make import make_run
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.runs.trainings import train_into_store
from ovlab.runs.work import Counted, Work, count_here
from ovlab.specs.errors import Stopped
from ovlab.specs.events import Places
from ovlab.store.record import TrainingRecord


@dataclass(frozen=True, slots=True)
class Here:
    """See `ovlab.runs.executor.Executor`."""

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        return train_into_store(training, context)

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        return count_here(work, context)

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        context.observer.on_places(Places(num_places=1, num_processes=1))
        for number, run in enumerate(runs, start=1):
            print(f"[{number}/{len(runs)}] {run.name}", file=sys.stderr)
            try:
                make_run(run, context, self)
            except Stopped:
                raise
            except Exception as error:  # whatever it is, it is the end of this run and of no other
                cause, report = explained(error)
                if report is not None:
                    print(report, file=sys.stderr)
                on_failure(Failure(run, cause))
