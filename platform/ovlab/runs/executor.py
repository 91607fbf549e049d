"""Who computes: this process, or a Ray. The same three calls, so that no run knows which."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.store.record import TrainingRecord

if TYPE_CHECKING:  # whoever only starts work does without torch
    from ovlab.runs.work import Counted, Work


@runtime_checkable
class Executor(Protocol):
    """Chosen by the command; `ovlab.runs.here.Here` and `ovlab.ray.on_ray.OnRay` are two."""

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        """Train what the store lacks, from its newest checkpoint to its record.

        Raises Stopped when `context.stop` says so, and InputError where the data are not those of the plan.
        """

    def count(self, work: "Work", context: RunContext) -> "Iterator[Counted]":
        """The counts of the images of `work`, in any order, each once. Raises Stopped when `context.stop` says so."""

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        """Make each run that is not done. One that fails stops no other: `on_failure` is told.

        Raises Stopped when `context.stop` says so.
        """
