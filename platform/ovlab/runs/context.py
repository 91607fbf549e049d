"""Where and how runs are made, which is no part of what they are."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ovlab.runs.observer import Observer, Observers
from ovlab.runs.sources import Sources
from ovlab.store.store import Store
from ovlab.tracking.provenance import Source


def never() -> bool:
    """The answer of nobody who wants the work to stop."""
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """Made once by a command, then passed on.

    workdir: the run folder of a training is a folder in it, named by the fingerprint. device: cpu, cuda or auto, for
    the process that computes. checkpoint_every: updates. source: the code that the command was given in. stop: asked
    after each update and each image.
    """

    store: Store
    workdir: Path
    sources: Sources = field(default_factory=Sources)
    device: str = "auto"
    num_loader_workers: int = 1
    checkpoint_every: int = 500
    source: Source = field(default_factory=Source)
    stop: Callable[[], bool] = never
    observer: Observer = field(default_factory=Observer)

    def lock(self, run: str) -> Path:
        """The lock of a run or a sweep."""
        return self.workdir / "locks" / f"{run}.lock"

    def heard_by(self, *observers: Observer) -> "RunContext":
        """The same, with more observers, who are told before those that are there."""
        return replace(self, observer=Observers((*observers, self.observer)))

    def portable(self) -> "RunContext":
        """The same for another process, with another working folder, that nobody here stops or hears."""
        return replace(
            self, workdir=self.workdir.resolve(), sources=self.sources.absolute(), stop=never, observer=Observer()
        )
