"""Where and how runs are made, which is no part of what they are."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ovlab.runs.journal_observer import JournalObserver
from ovlab.runs.observer import Observer, Observers
from ovlab.runs.sources import Sources
from ovlab.runs.validation import Validation
from ovlab.specs.device_names import require_device_name
from ovlab.specs.errors import InputError
from ovlab.store.costs import finished_cost
from ovlab.store.record import Cost
from ovlab.store.store import Store
from ovlab.tracking.provenance import Source

# Each is a thread that holds images.
MOST_LOADER_WORKERS = 256


def never() -> bool:
    """The answer of nobody who wants the work to stop."""
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """Made once by a command, then passed on.

    workdir: the run folder of a training is a folder in it, named by the fingerprint; where it is the store itself, the
    run folder is the store. device: cpu, cuda or auto, for the process that computes. checkpoint_every: updates.
    source: the code that the command was given in. validation: of a training, while it goes on. stop: asked after each
    update and each image. journal: that of the run under way; `ovlab.runs.journaling.journaled` gives it.
    """

    store: Store
    workdir: Path
    sources: Sources = field(default_factory=Sources)
    device: str = "auto"
    num_loader_workers: int = 1
    checkpoint_every: int = 500
    source: Source = field(default_factory=Source)
    validation: Validation | None = None
    stop: Callable[[], bool] = never
    observer: Observer = field(default_factory=Observer)
    journal: JournalObserver | None = None

    def __post_init__(self) -> None:
        require_device_name(self.device)
        if not 0 <= self.num_loader_workers <= MOST_LOADER_WORKERS:
            raise InputError(
                f"--loader-workers must be in 0 .. {MOST_LOADER_WORKERS} threads, got {self.num_loader_workers}."
            )
        if self.checkpoint_every < 1:
            raise InputError(f"--checkpoint-every must be at least 1 update, got {self.checkpoint_every}.")

    @property
    def listeners(self) -> Observer:
        """All who are told of the run: its journal, and the observer."""
        return self.observer if self.journal is None else Observers((self.journal, self.observer))

    def finished_cost(self, fingerprint: str) -> Cost:
        """What the training or the evaluation `fingerprint` has cost in all attempts at this run, now that all is done
        but its record. Raises ValueError without a journal: see `ovlab.runs.journaling`."""
        if self.journal is None:
            raise ValueError("a run is made under the eyes of its journal; see ovlab.runs.journaling.")
        self.journal.open().flush()
        return finished_cost(self.store, self.journal.header.run, fingerprint)

    @property
    def run_folder_is_store(self) -> bool:
        return self.store.folder.is_local and os.path.realpath(self.store.folder.uri) == os.path.realpath(self.workdir)

    def run_folder(self, fingerprint: str) -> Path:
        """Of a training."""
        return self.workdir if self.run_folder_is_store else self.workdir / fingerprint

    def heard_by(self, *observers: Observer) -> "RunContext":
        """The same, with more observers, who are told before the one that is there."""
        return replace(self, observer=Observers((*observers, self.observer)))

    def portable(self) -> "RunContext":
        """The same for another process, with another working folder, that nobody here stops or hears."""
        return replace(
            self,
            workdir=Path(os.path.realpath(self.workdir)),
            sources=self.sources.absolute(),
            stop=never,
            observer=Observer(),
            journal=None,
        )
