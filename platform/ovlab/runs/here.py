"""Everything in this process, one after the other."""

from collections.abc import Callable, Iterator, Sequence

from ovlab.runs.context import RunContext
from ovlab.runs.counting import Counted, Work, count_here
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.store.record import TrainingRecord


class Here:
    """An Executor whose evaluations are ready."""

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        raise NotImplementedError

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        return count_here(work, context)

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        raise NotImplementedError
