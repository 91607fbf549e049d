"""What a run tells about itself, and the interface that it tells it to.

The computing process speaks to a `Tracker` and never to a tracking server: every method returns at once and raises
nothing, whatever happens to the disk or the network.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ovlab.specs.errors import InputError

Status = Literal["FINISHED", "FAILED", "KILLED"]

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHeader:
    """Which run this is.

    `run` is its identity: another header with the same one continues that run, as another `attempt`. `parent` is the
    identity of the table, sweep or training that it belongs to, in the same `experiment`. `params` say what is
    computed and are written once; what may differ between attempts (host, devices, commit) is a tag.
    """

    run: str
    name: str
    experiment: str = "ovlab"
    parent: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1

    def __post_init__(self) -> None:
        for label, run in (("run", self.run), ("parent", self.parent)):
            if run is not None and not _RUN.fullmatch(run):
                raise InputError(
                    f"RunHeader.{label} must be 1 to 200 letters, digits, '.', '_' or '-', as a fingerprint is; "
                    f"got {run!r}."
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedDataset:
    """A split that a run read. `context` is what for: "training" or "evaluation"."""

    name: str
    digest: str
    source: str
    context: str
    num_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedModel:
    """Weights that a run wrote: where they lie (a path or s3://...), their sha256, the class names trained on."""

    weights: str
    sha256: str
    class_names: tuple[str, ...]


@runtime_checkable
class Tracker(Protocol):
    """One run's line to the tracking server."""

    def start(self, run: RunHeader) -> None:
        """Begin the run, or another attempt at it: the status is RUNNING from now on."""

    def join(self, run: RunHeader) -> None:
        """Add to a run that another process started and will end."""

    def metrics(self, step: int, values: Mapping[str, float | int]) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of the file under `folder`. For pictures and small tables: weights go by `model`."""

    def table(self, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Keep a table as the artifact `name`, which ends in .json."""

    def dataset(self, dataset: TrackedDataset) -> None: ...

    def model(self, model: TrackedModel) -> None: ...

    def heartbeat(self) -> None:
        """Say that the run is alive."""

    def end(self, status: Status, reason: str = "") -> None: ...


class NullTracker:
    """Tells nobody."""

    def start(self, run: RunHeader) -> None:
        pass

    def join(self, run: RunHeader) -> None:
        pass

    def metrics(self, step: int, values: Mapping[str, float | int]) -> None:
        pass

    def tags(self, values: Mapping[str, str]) -> None:
        pass

    def artifact(self, path: Path, folder: str = "") -> None:
        pass

    def table(self, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        pass

    def dataset(self, dataset: TrackedDataset) -> None:
        pass

    def model(self, model: TrackedModel) -> None:
        pass

    def heartbeat(self) -> None:
        pass

    def end(self, status: Status, reason: str = "") -> None:
        pass
