"""The executor that is a Ray: the one of RAY_ADDRESS, or one that is started for as long as the work lasts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ovlab.ray.pipeline import count_on_ray
from ovlab.runs.context import RunContext
from ovlab.runs.counting import Counted, Work
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.store.record import TrainingRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class OnRay:
    """An Executor whose evaluations are ready."""

    num_processes: int | None = None

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        raise NotImplementedError

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        return count_on_ray(work, context, self.num_processes)

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        raise NotImplementedError
