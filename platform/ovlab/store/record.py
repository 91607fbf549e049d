"""What is written down of a finished training and of a finished evaluation, and how it is read back.

A record is sealed with the sha256 of its content, so that a changed byte is noticed. It names files relative to its
own folder in the store: a store that is copied elsewhere keeps its meaning.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Bool
from pydantic_core import to_json

from ovlab.datasets.catalog import seen_classes
from ovlab.files.sealed import DamagedError, pack_sealed, unpack_sealed
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import EvaluationSpec, Untrained
from ovlab.specs.fingerprint import ADDED_LATER
from ovlab.specs.plain_name import is_plain, require_plain
from ovlab.specs.resolved import ResolvedTraining
from ovlab.specs.serialization import spec_from_json, spec_to_json

FORMAT = "ovlab-record-1"
# Of older records; it never was the id of a tracking server.
_DROPPED = ("mlflow_run_id",)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file in the folder of its run in the store. Raises InputError for a `name` that is not plain."""

    name: str
    sha256: str
    num_bytes: int

    def __post_init__(self) -> None:
        require_plain("the name of a stored file", self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """Times are ISO 8601 in UTC. `kept_seconds` of its `seconds` by the clock went into what the next attempt could
    build upon; the rest is lost. `process_seconds`: of processors; None where the journal does not tell."""

    id: str
    began: str
    updated: str
    status: Literal["running", "finished", "stopped", "failed"]
    device: str
    num_gpus: int
    seconds: float
    kept_seconds: float
    cause: str | None = None
    process_seconds: float | None = None

    @property
    def gpu_seconds(self) -> float:
        return self.seconds * self.num_gpus

    @property
    def lost_seconds(self) -> float:
        return self.seconds - self.kept_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a run has cost over all its attempts, lost work included. `device` is that of the attempt that ended it;
    `lost_seconds` of its `seconds` by the clock were work that no later attempt could build upon. `process_seconds`: of
    processors; None where that was not recorded."""

    device: str
    seconds: float
    gpu_seconds: float
    lost_seconds: float
    attempts: tuple[Attempt, ...]
    process_seconds: float | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """A finished training. `provenance` is JSON: commit, versions, command. `finished` is ISO 8601 in UTC.
    num_learning: the numbers that learned; peak_bytes: the most memory of the process (rank 0's) in its last attempt,
    of torch on a GPU; None in records of before, and where it was not measured."""

    fingerprint: str
    training: ResolvedTraining
    class_names: tuple[str, ...]
    num_steps: int
    final_loss: float | None
    weights: StoredFile
    cost: Cost
    finished: str
    provenance: Mapping[str, Any]
    num_learning: int | None = field(default=None, metadata=ADDED_LATER)
    peak_bytes: int | None = field(default=None, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """The scores of one class as fractions; None where nothing could be counted."""

    name: str
    iou: float | None
    accuracy: float | None
    num_gt_pixels: int
    num_pred_pixels: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord:
    """A finished evaluation. `figures` are those of `ovlab.metrics.summary`, without the classes: "miou" and so on,
    fractions and whole numbers, None where nothing was counted. seen: for each class, whether training has named it;
    None where that is not known, and in records of before it was written down. untrained: the subject, where it is no
    training. count_digests: `counts_digest` of each file of its counts; None in records of before."""

    fingerprint: str
    evaluation: EvaluationSpec
    protocol_hash: str
    scoring_hash: str
    figures: Mapping[str, float | int | None]
    classes: tuple[ClassFigures, ...]
    num_shards: int
    cost: Cost
    finished: str
    provenance: Mapping[str, Any]
    seen: tuple[bool, ...] | None = None
    untrained: Untrained | None = field(default=None, metadata=ADDED_LATER)
    count_digests: Mapping[str, str] | None = field(default=None, metadata=ADDED_LATER)

    @property
    def num_classes(self) -> int:
        """N of its counts."""
        return len(self.classes)

    def is_limited_to(self, limit_images: int | None) -> bool:
        """Whether it scored the first `limit_images` images: so many, or all of a split that has no more."""
        if self.evaluation.num_images == limit_images:
            return True
        num_images = self.figures.get("num_images") or 0
        return self.evaluation.num_images is None and limit_images is not None and num_images <= limit_images

    @property
    def seen_classes(self) -> Bool[np.ndarray, "N"] | None:
        """`seen`, or what is known of the benchmark by its name; None for another version of its vocabulary."""
        seen = seen_classes(self.evaluation.benchmark) if self.seen is None else np.array(self.seen)
        return seen if seen is not None and len(seen) == self.num_classes else None


Record = TypeVar("Record", TrainingRecord, EvaluationRecord)


def cost_of(attempts: Sequence[Attempt]) -> Cost:
    """The sum over the attempts at one run, the last of which ends it now if it is under way, and has lost nothing.

    Without any, as where nothing could be kept of them, the cost is said to be none.
    """
    attempts = list(attempts)
    if attempts and attempts[-1].status == "running":
        attempts[-1] = replace(attempts[-1], status="finished", kept_seconds=attempts[-1].seconds)
    processed = [attempt.process_seconds for attempt in attempts if attempt.process_seconds is not None]
    return Cost(
        device=attempts[-1].device if attempts else "unknown",
        seconds=sum((attempt.seconds for attempt in attempts), 0.0),
        gpu_seconds=sum((attempt.gpu_seconds for attempt in attempts), 0.0),
        lost_seconds=sum((attempt.lost_seconds for attempt in attempts), 0.0),
        attempts=tuple(attempts),
        process_seconds=sum(processed) if attempts and len(processed) == len(attempts) else None,
    )


def pack_record(record: TrainingRecord | EvaluationRecord) -> bytes:
    """The bytes of record.json. Raises InputError for provenance that JSON cannot hold."""
    try:
        return pack_sealed(FORMAT, json.loads(spec_to_json(record)))
    except (TypeError, ValueError) as error:
        raise InputError(f"record {record.fingerprint[:12]}: cannot be written as JSON ({error}).") from None


def unpack_record(kind: type[Record], content: bytes, *, place: str, fingerprint: str) -> Record:
    """The record that `pack_record` made. `place` is for the message.

    Raises DamagedError for bytes that are not such a record, a seal that is broken, and a record of another run.
    """
    sealed = unpack_sealed(FORMAT, content, place=place)
    try:
        fields = {key: value for key, value in dict(sealed).items() if key not in _DROPPED}
        record = spec_from_json(kind, to_json(fields).decode(), place=place)
    except InputError as error:
        raise DamagedError(f"{error} It was written by another version.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{place}: not a record ({type(error).__name__}: {error}).") from None
    if not is_plain(fingerprint):
        raise DamagedError(f"{place}: {fingerprint!r} is no fingerprint.")
    if record.fingerprint != fingerprint:
        raise DamagedError(f"{place}: is the record of {record.fingerprint[:12]}, not of {fingerprint[:12]}.")
    return record
