"""What a run tells while it is made, as plain values: observers are told them, the journal keeps them.

A run is one subject's training and evaluations. It is known by the fingerprint of its training, or of a subject that
nothing here has trained. A sweep is a run too, the parent of those that it asks for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ovlab.specs.plain_name import require_plain

Status = Literal["FINISHED", "FAILED", "KILLED"]
Work = Literal["training", "evaluation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHeader:
    """Which run it is, for people. `parent` is the run of its sweep, in the same `experiment`. `params` say what is
    computed; what may differ between attempts (host, devices, commit) is a tag.

    Raises InputError for a `run` or `parent` that cannot be the name of a folder.
    """

    run: str
    name: str
    experiment: str = "ovlab"
    parent: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, run in (("run", self.run), ("parent", self.parent)):
            if run is not None:
                require_plain(f"RunHeader.{label}", run)


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A process begins an attempt at the run, or joins it. `process_began`, in seconds since 1970, tells it from a
    later process of the same number."""

    header: RunHeader
    host: str
    process: int
    process_began: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """Work on one training or evaluation begins. `total` counts the updates, or the images; `num_done` of them were
    made before; `batch_size` images belong to one. `num_gpus`: how many are busy in a second of it."""

    work: Work
    fingerprint: str
    device: str
    num_gpus: int
    total: int
    num_done: int = 0
    batch_size: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One update. `step` counts from 1; the rate is that outside the image encoder; the norm is before clipping.

    `data_seconds`: of the update's time, what it waited for its images. `process_seconds`: processor time of all
    processes of the run since the update before. Both are None in a log that does not tell.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    images_per_second: float
    data_seconds: float | None = None
    process_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Validated:
    """The weights behind `step` updates were scored on the first `num_images` of a split. `figures`: the scores that
    were counted, as fractions."""

    step: int
    benchmark: str
    split: str
    num_images: int
    figures: Mapping[str, float]

    @property
    def images(self) -> tuple[str, str, int]:
        """Which they are: scores on others are no better and no worse."""
        return self.benchmark, self.split, self.num_images


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The state behind `step` updates is saved: what was done until then is kept."""

    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Counts of an evaluation have come in: of so many images of the shard `shard`, the work of so many seconds, with
    which so many shards were committed. The shard is "", and the processor time `process_seconds` None, in a log that
    does not tell."""

    evaluation: str
    subject: str
    benchmark: str
    num_images: int
    seconds: float
    num_shards: int
    num_shards_left: int
    shard: str = ""
    process_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """The record of a training or an evaluation is in the store: all that was done for it is kept."""

    work: Work
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Of a sweep: from now on there is room for `num_places` runs at a time, of `num_processes` each."""

    num_places: int
    num_processes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Beat:
    """The process lives; `metrics` say how busy its machine is."""

    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The attempt is over. `reason` is empty for one that finished."""

    status: Status
    reason: str = ""


Event = Started | Begun | Step | Validated | Checkpoint | Counts | Recorded | Places | Beat | Ended
