"""How long a run will take, from what runs like it took: nothing is guessed where nothing was measured."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

from ovlab.runs.planned import Estimate
from ovlab.specs.evaluation import EvaluationSpec
from ovlab.specs.method import Model, method_name
from ovlab.specs.training import TrainingSpec
from ovlab.store.record import Cost, EvaluationRecord, TrainingRecord

Run = TypeVar("Run", TrainingRecord, EvaluationRecord)


class Speeds:
    """The speeds of finished runs."""

    def __init__(self, trainings: Iterable[TrainingRecord], evaluations: Iterable[EvaluationRecord]) -> None:
        self.trainings = list(trainings)
        self.evaluations = list(evaluations)
        self.models = {record.fingerprint: record.training.spec.model for record in self.trainings}

    def training(self, spec: TrainingSpec, num_steps: int) -> Estimate | None:
        """For `num_steps` updates of `spec`: from runs of the same model, else from variants of it."""
        alike = [record for record in self.trainings if _work_of(record.training.spec) == _work_of(spec)]
        same = [record for record in alike if record.training.spec.model == spec.model]
        return _estimate(same or alike, num_steps, lambda record: record.num_steps)

    def evaluation(self, spec: EvaluationSpec, model: Model, num_images: int) -> Estimate | None:
        """For `num_images` images of `spec` with `model`: from runs of the same model, else from variants of it."""
        alike = [
            record
            for record in self.evaluations
            if record.evaluation.benchmark == spec.benchmark
            and record.evaluation.protocol == spec.protocol
            and record.evaluation.subject in self.models
            and _cost_class(self.models[record.evaluation.subject]) == _cost_class(model)
        ]
        same = [record for record in alike if self.models[record.evaluation.subject] == model]
        return _estimate(same or alike, num_images, lambda record: int(record.figures.get("num_images") or 0))


def _work_of(spec: TrainingSpec) -> tuple[object, ...]:
    """What the time of an update depends on first of all."""
    return (*_cost_class(spec.model), spec.augmentation.crop_size, spec.schedule.batch_size, spec.schedule.precision)


def _cost_class(model: Model) -> tuple[object, ...]:
    return (method_name(model), model.clip)


def _estimate(records: Sequence[Run], amount: int, amount_of: Callable[[Run], int]) -> Estimate | None:
    """`amount` times the median speed of the longest records on the device that the newest of them ran on."""
    measured = [record for record in records if amount_of(record) and record.cost.seconds > 0]
    if not measured:
        return None
    device = max(measured, key=lambda record: record.finished).cost.device
    there = [record for record in measured if record.cost.device == device]
    # In a rehearsal of a few steps, most of the time is that of the start.
    longest = max(amount_of(record) for record in there)
    there = [record for record in there if amount_of(record) >= longest / 2]
    seconds = amount * median(_kept_seconds(record.cost) / amount_of(record) for record in there)
    num_gpus = median(record.cost.gpu_seconds / record.cost.seconds for record in there)
    return Estimate(seconds, seconds * num_gpus, device)


def _kept_seconds(cost: Cost) -> float:
    return cost.seconds - cost.lost_seconds
