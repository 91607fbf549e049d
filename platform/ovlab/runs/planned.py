"""What a plan is made of: trainings and evaluations that are done, missing or blocked, and the runs they belong to."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import EvaluationSpec
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


def require_resolved(training: PlannedTraining) -> ResolvedTraining:
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
    """A training and its evaluations: what one trial does. It can be pickled. suite, sweep: the name of the suite and
    the identity of the sweep that asked for it."""

    training: PlannedTraining
    evaluations: tuple[PlannedEvaluation, ...] = ()
    suite: str | None = None
    sweep: str | None = None

    @property
    def parts(self) -> tuple[PlannedTraining | PlannedEvaluation, ...]:
        return (self.training, *self.evaluations)

    @property
    def status(self) -> Status:
        """Missing as long as any part of it can be made."""
        found = {part.status for part in self.parts}
        if self.training.status == "blocked" or "missing" not in found:
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
        """For messages: the rows that need it, or its preset, and its seed."""
        rows = ", ".join(f"{table} {row}" for table, row in self.rows) or self.training.preset
        return f"{rows}, seed {self.training.spec.seed}"
