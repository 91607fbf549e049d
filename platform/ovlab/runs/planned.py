"""What a plan is made of: trainings and evaluations that are done, missing or blocked, and the runs they belong to."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import EvaluationSpec, Untrained
from ovlab.specs.method import Model
from ovlab.specs.resolved import ResolvedTraining
from ovlab.specs.table import CellName
from ovlab.specs.training import TrainingSpec

Status = Literal["done", "missing", "blocked"]


class Estimate(NamedTuple):
    """On a machine like `device`, where the measured runs ran. Work that was lost there is not counted. is_rehearsed:
    whether nothing but limited runs was measured, most of whose time may be that of the start. seconds: by the clock;
    process_seconds: of processors, None where that was not recorded."""

    seconds: float
    process_seconds: float | None
    gpu_seconds: float
    device: str
    is_rehearsed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTraining:
    """step: updates whose state is in the store. problems: why it is blocked. estimate: of what is still to be done;
    None where nothing like it was measured."""

    spec: TrainingSpec
    preset: str
    status: Status
    resolved: ResolvedTraining | None = None
    fingerprint: str | None = None
    step: int = 0
    problems: tuple[str, ...] = ()
    estimate: Estimate | None = None

    @property
    def model(self) -> Model:
        """What is trained."""
        return self.spec.model

    @property
    def num_steps(self) -> int:
        """Updates in all."""
        return self.spec.schedule.steps

    @property
    def seed(self) -> int | None:
        """That of the spec."""
        return self.spec.seed

    @property
    def data(self) -> str | None:
        """The data set that it is trained on."""
        return self.spec.dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedUntrained:
    """A subject that needs no training. problems: why it is blocked."""

    model: Model
    preset: str
    status: Status
    subject: Untrained | None = None
    fingerprint: str | None = None
    problems: tuple[str, ...] = ()
    estimate: None = None
    step: int = 0

    @property
    def num_steps(self) -> int:
        """No update at all."""
        return 0

    @property
    def seed(self) -> int | None:
        """None, since nothing about it is drawn."""
        return None

    @property
    def data(self) -> str | None:
        """None is needed."""
        return None


def require_resolved(subject: PlannedTraining | PlannedUntrained) -> ResolvedTraining | Untrained:
    """The subject with its identity. Raises InputError with the reasons why it has none."""
    if isinstance(subject, PlannedTraining):
        return require_training(subject)
    if subject.subject is None:
        raise InputError(" ".join(subject.problems))
    return subject.subject


def require_training(training: PlannedTraining) -> ResolvedTraining:
    """The training with its identity. Raises InputError with the reasons why it has none."""
    if training.resolved is None:
        raise InputError(" ".join(training.problems))
    return training.resolved


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedEvaluation:
    """benchmark: the name of the data set. num_shards_done: those whose counts are in the store; the rest as in
    PlannedTraining."""

    benchmark: str
    status: Status
    cells: tuple[CellName, ...]
    spec: EvaluationSpec | None = None
    fingerprint: str | None = None
    num_images: int = 0
    num_shards: int = 0
    num_shards_done: int = 0
    problems: tuple[str, ...] = ()
    estimate: Estimate | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """A training, or a subject that needs none, and its evaluations: what one trial does. It can be pickled. suite,
    sweep: the name of the suite and the identity of the sweep that asked for it."""

    subject: PlannedTraining | PlannedUntrained
    evaluations: tuple[PlannedEvaluation, ...] = ()
    suite: str | None = None
    sweep: str | None = None

    @property
    def parts(self) -> tuple[PlannedTraining | PlannedUntrained | PlannedEvaluation, ...]:
        return (self.subject, *self.evaluations)

    @property
    def status(self) -> Status:
        """Missing as long as any part of it can be made."""
        found = {part.status for part in self.parts}
        if self.subject.status == "blocked" or "missing" not in found:
            return "blocked" if "blocked" in found else "done"
        return "missing"

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Table and key of the rows that need it."""
        return tuple(dict.fromkeys((cell.table, cell.row) for part in self.evaluations for cell in part.cells))

    @property
    def problems(self) -> tuple[str, ...]:
        """Why parts of it are blocked, each reason once."""
        return tuple(dict.fromkeys(problem for part in self.parts for problem in part.problems))

    @property
    def name(self) -> str:
        """For messages: the rows that need it, or its preset, and its seed, if it has one."""
        rows = ", ".join(f"{table} {row}" for table, row in self.rows) or self.subject.preset
        return rows if self.subject.seed is None else f"{rows}, seed {self.subject.seed}"
