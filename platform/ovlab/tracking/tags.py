"""The tags of a run: the names under which the tracking server shows and finds it, and what its header carries in them.

The header of a run is all that a publisher knows of it before there are records: so it also says which data the run
reads and, of a sweep, which runs it asked for, as JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from ovlab.tracking.provenance import Provenance

RUN = "ovlab.run"
PARENT = "ovlab.parent"
ATTEMPT = "ovlab.attempt"
HEARTBEAT = "ovlab.heartbeat"
REASON = "ovlab.reason"
PARAMS_CONFLICT = "ovlab.params_conflict"
KIND = "ovlab.kind"
SUITE = "ovlab.suite"
# Of Provenance.tags.
COMMIT = "ovlab.commit"
COMMAND = "ovlab.command"
# In a header alone.
DATASETS = "ovlab.datasets"
CHILDREN = "ovlab.children"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedDataset:
    """A split that a run reads. `context` is what for: "training" or "evaluation"."""

    name: str
    digest: str
    source: str
    context: str
    num_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A run that a sweep asks for: its fingerprint, and those of its evaluations by benchmark. None: not known."""

    name: str
    training: str | None
    evaluations: Mapping[str, str | None]


_DATASETS = TypeAdapter(tuple[TrackedDataset, ...])
_CHILDREN = TypeAdapter(tuple[Child, ...])


def run_tags(
    *,
    kind: str,
    fingerprint: str,
    provenance: Provenance,
    data_digests: Mapping[str, str] | None = None,
    protocols: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What every run says of itself. `kind` is "table" or "training"; `data_digests` and `protocols`, the protocol
    hashes of its evaluations, are by the name of the data set."""
    return {
        KIND: kind,
        "ovlab.fingerprint": fingerprint,
        **provenance.tags(),
        **{f"ovlab.data.{name}": digest for name, digest in (data_digests or {}).items()},
        **{f"ovlab.protocol.{name}": digest for name, digest in (protocols or {}).items()},
    }


def datasets_tag(datasets: Sequence[TrackedDataset]) -> dict[str, str]:
    """For the header of a run."""
    return {DATASETS: _DATASETS.dump_json(tuple(datasets)).decode()}


def children_tag(children: Sequence[Child]) -> dict[str, str]:
    """For the header of a sweep."""
    return {CHILDREN: _CHILDREN.dump_json(tuple(children)).decode()}


def datasets_in(tags: Mapping[str, str]) -> tuple[TrackedDataset, ...]:
    """Raises ValueError where they cannot be read."""
    return _DATASETS.validate_json(tags.get(DATASETS, "[]"))


def children_in(tags: Mapping[str, str]) -> tuple[Child, ...]:
    """Raises ValueError where they cannot be read."""
    return _CHILDREN.validate_json(tags.get(CHILDREN, "[]"))
