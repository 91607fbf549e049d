"""How long a run will take, from what runs like it took: nothing is guessed where nothing was measured.

An update takes the median of the updates behind the first ones, which wait for caches, compilers and readers. Limited
runs are measured by only where there are no others, and then it is said.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

from ovlab.runs.planned import Estimate
from ovlab.specs.evaluation import DenseClip, EvaluationSpec, Released, Untrained
from ovlab.specs.method import Model, method_name
from ovlab.specs.run_limits import limits_of
from ovlab.specs.table import CLIP
from ovlab.specs.training import TrainingSpec
from ovlab.store.journal import read_curve
from ovlab.store.record import Cost, EvaluationRecord, TrainingRecord
from ovlab.store.store import Store

# Updates that do not count, or the first half of fewer than twice as many.
FIRST_UPDATES = 10
# The newest runs of one kind that are measured by: the journal of each is read.
_MOST_RUNS = 5

Run = TypeVar("Run", TrainingRecord, EvaluationRecord)


class Speeds:
    """The speeds of the finished runs of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trainings = list(store.trainings())
        self.evaluations = list(store.evaluations())
        self.subjects: dict[str, Model | Untrained] = {
            record.fingerprint: record.training.spec.model for record in self.trainings
        }
        for record in self.evaluations:
            if record.untrained is not None:
                self.subjects[record.evaluation.subject] = record.untrained
        self._update_seconds: dict[str, float] = {}

    def training(self, spec: TrainingSpec, num_steps: int) -> Estimate | None:
        """For `num_steps` updates of `spec`: from runs of the same model, else from variants of it."""
        alike = [record for record in self.trainings if _work_of(record.training.spec) == _work_of(spec)]
        same = [record for record in alike if record.training.spec.model == spec.model]
        whole = [record for record in same or alike if not limits_of(record.training.spec).text]
        found = _estimate(whole or same or alike, num_steps, lambda record: record.num_steps, self.seconds_an_update)
        return None if found is None else found._replace(is_rehearsed=not whole)

    def evaluation(self, spec: EvaluationSpec, subject: Model | Untrained, num_images: int) -> Estimate | None:
        """For `num_images` images of `spec` with a trained model, or with a subject that is not trained: from runs of
        the same, else from variants of it."""
        alike = [
            record
            for record in self.evaluations
            if record.evaluation.benchmark == spec.benchmark
            and record.evaluation.protocol == spec.protocol
            and record.evaluation.subject in self.subjects
            and _cost_class(self.subjects[record.evaluation.subject]) == _cost_class(subject)
        ]
        same = [record for record in alike if self.subjects[record.evaluation.subject] == subject]
        whole = [record for record in same or alike if record.evaluation.num_images is None]
        found = _estimate(whole or same or alike, num_images, _num_images, _seconds_an_image)
        return None if found is None else found._replace(is_rehearsed=not whole)

    def seconds_an_update(self, record: TrainingRecord) -> float:
        """Once it runs; of a run whose updates were not told, the mean, its start included."""
        if record.fingerprint not in self._update_seconds:
            batch_size = record.training.spec.schedule.batch_size
            rates = [step.images_per_second for step in read_curve(self.store, record.fingerprint)]
            seconds = [batch_size / rate for rate in rates if rate > 0]
            steady = seconds[min(FIRST_UPDATES, len(seconds) // 2) :]
            self._update_seconds[record.fingerprint] = (
                median(steady) if steady else _kept_seconds(record.cost) / record.num_steps
            )
        return self._update_seconds[record.fingerprint]


def _work_of(spec: TrainingSpec) -> tuple[object, ...]:
    """What the time of an update depends on first of all."""
    return (*_cost_class(spec.model), spec.augmentation.crop_size, spec.schedule.batch_size, spec.schedule.precision)


def _cost_class(subject: Model | Untrained) -> tuple[object, ...]:
    if isinstance(subject, DenseClip):
        return (CLIP, subject.clip)
    model = subject.model if isinstance(subject, Released) else subject
    return (method_name(model), model.clip)


def _estimate(
    records: Sequence[Run], amount: int, amount_of: Callable[[Run], int], seconds_each: Callable[[Run], float]
) -> Estimate | None:
    """`amount` times the median speed of the longest records on the device that the newest of them ran on."""
    measured = sorted(
        (record for record in records if amount_of(record) and record.cost.seconds > 0),
        key=lambda record: record.finished,
    )
    if not measured:
        return None
    device = measured[-1].cost.device
    there = [record for record in measured if record.cost.device == device]
    # In short runs, most of the time is that of the start.
    longest = max(amount_of(record) for record in there)
    there = [record for record in there if amount_of(record) >= longest / 2][-_MOST_RUNS:]
    seconds = amount * median(map(seconds_each, there))
    num_gpus = median(record.cost.gpu_seconds / record.cost.seconds for record in there)
    costs = [record.cost for record in there]
    busy = [cost.process_seconds / cost.seconds for cost in costs if cost.process_seconds is not None]
    process_seconds = seconds * median(busy) if len(busy) == len(costs) else None
    return Estimate(seconds, process_seconds, seconds * num_gpus, device, is_rehearsed=False)


def _num_images(record: EvaluationRecord) -> int:
    return int(record.figures.get("num_images") or 0)


def _seconds_an_image(record: EvaluationRecord) -> float:
    return _kept_seconds(record.cost) / _num_images(record)


def _kept_seconds(cost: Cost) -> float:
    return cost.seconds - cost.lost_seconds
