"""Where and how runs are made."""

from dataclasses import dataclass
from pathlib import Path

from ovlab.runs.sources import Sources
from ovlab.tracking.provenance import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """Where and how runs are made, which is no part of what they are. It travels to other processes.

    device: cpu, cuda or auto, for the process that makes a run. source: the code that the command was given in.
    """

    store: str
    workdir: Path
    sources: Sources
    device: str
    source: Source
    num_loader_workers: int = 1
    checkpoint_every: int = 500

    def lock(self, run: str) -> Path:
        """The lock of a run or a sweep."""
        return self.workdir / "locks" / f"{run}.lock"
