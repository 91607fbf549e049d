"""Whoever draws curves of its own hears of a run as MLflow is told of it: the same points under the same names."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

from ovlab.runs.observer import Observer
from ovlab.specs.events import Step, Validated
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.tracking.points import MetricPoint, evaluation_points, step_points, training_points, validation_points


class PointObserver(Observer, ABC):
    """Gives `draw` the points of each update, validation and record, which are of one step each."""

    def __init__(self) -> None:
        self.step = 0

    @abstractmethod
    def draw(self, step: int, points: Iterable[MetricPoint]) -> None:
        """Points of the update `step`."""

    def on_step(self, step: Step) -> None:
        self.step = step.step
        self.draw(step.step, step_points(step, time.time()))

    def on_validation(self, validated: Validated) -> None:
        self.draw(validated.step, validation_points(validated, time.time()))

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        if isinstance(record, TrainingRecord):
            self.draw(record.num_steps, training_points(record))
        else:
            self.draw(self.step, evaluation_points(record, self.step))
