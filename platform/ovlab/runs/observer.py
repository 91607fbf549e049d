"""Who is told of a run while it is made: the journal, Prometheus, the progress line, one of your own.

Subclass `Observer` and override what you want to hear of. An exception in an observer ends the run there, to be
continued by the next call.
"""

from collections.abc import Sequence
from functools import partialmethod
from pathlib import Path
from typing import Any

from ovlab.specs.events import Begun, Counts, Places, RunHeader, Status, Step, Validated
from ovlab.store.record import EvaluationRecord, TrainingRecord


class Observer:
    """Hears nothing."""

    def on_start(self, run: RunHeader) -> None:
        """An attempt at the run begins."""

    def on_places(self, places: Places) -> None:
        """A sweep has room for so many runs at a time, now and until it is told otherwise."""

    def on_wait(self, missing: str) -> None:
        """The work waits for room on a cluster, and what is missing."""

    def on_begin(self, begun: Begun) -> None:
        """Work on its training, or on one of its evaluations, begins."""

    def on_step(self, step: Step) -> None:
        """An update was made; again, for updates that were lost with a process."""

    def on_validation(self, validated: Validated) -> None:
        """The weights between two updates were scored."""

    def on_checkpoint(self, step: int, path: Path) -> None:
        """The state behind `step` updates is saved in the file `path`."""

    def on_counts(self, counts: Counts) -> None:
        """Counts of an evaluation have come in."""

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        """A record is in the store, made now or found there; the pictures of an evaluation are there too."""

    def on_end(self, status: Status, reason: str) -> None:
        """The attempt is over."""


class Observers(Observer):
    """All of several, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = tuple(observers)

    def _tell(self, name: str, *event: Any) -> None:
        for observer in self.observers:
            getattr(observer, name)(*event)


for _name in [name for name in vars(Observer) if name.startswith("on_")]:
    setattr(Observers, _name, partialmethod(Observers._tell, _name))
