"""What events and records become in MLflow: points of its metrics, the same whoever publishes them, and when."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import datetime
from math import isfinite
from typing import NamedTuple

from ovlab.specs.events import Beat, Begun, Step, Validated
from ovlab.store.journal import RunLog, Told
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.tracking.experiment_page import percent_key

# Of a curve; the journal has every update.
MAX_POINTS = 1000


class MetricPoint(NamedTuple):
    """`time` is in ms since 1970."""

    key: str
    value: float
    time: int
    step: int


def points_of(log: RunLog, news: Collection[Told]) -> Iterator[MetricPoint]:
    """The curve, the scores on the way and the load of the machine, as far as `news` tells of them.

    An update that is told again, since its process was killed before it was saved, is shown as it was told first.
    """
    new = {(told.file, told.end) for told in news}
    begins = [told.event for told in log.events if isinstance(told.event, Begun) and told.event.work == "training"]
    total = begins[0].total if begins else 0
    every = max(1, -(-total // MAX_POINTS))
    shown: set[tuple[type, int]] = set()
    for told in log.events:
        match told.event:
            case Step(step=step) as update if step % every == 0 or step in (1, total):
                if (Step, step) not in shown and (told.file, told.end) in new:
                    yield from step_points(update, told.time)
                shown.add((Step, step))
            case Validated(step=step) as validated:
                if (Validated, step) not in shown and (told.file, told.end) in new:
                    yield from validation_points(validated, told.time)
                shown.add((Validated, step))
            case Beat(metrics=metrics) if (told.file, told.end) in new:
                # The clock as step keeps the curves of two attempts apart.
                for name, value in metrics.items():
                    yield MetricPoint(name, value, round(1000 * told.time), int(told.time))


def training_points(record: TrainingRecord) -> list[MetricPoint]:
    """What the training has cost, at its last update: seconds by the clock, of GPUs, and of processors if recorded."""
    costs = {"cost/seconds": record.cost.seconds, "cost/gpu_seconds": record.cost.gpu_seconds}
    if record.cost.process_seconds is not None:
        costs["cost/process_seconds"] = record.cost.process_seconds
    return [MetricPoint(name, value, _time(record), record.num_steps) for name, value in costs.items()]


def evaluation_points(record: EvaluationRecord, step: int) -> list[MetricPoint]:
    """Its scores, at the last update of the training; the mIoU in percent, too."""
    benchmark = record.evaluation.benchmark
    scores = {
        f"{benchmark}/{key}": value
        for key, value in record.figures.items()
        if key == "num_images" or not key.startswith("num_")
    }
    miou = record.figures.get("miou")
    if miou is not None:
        scores[percent_key(benchmark)] = 100 * miou
    return [MetricPoint(key, float(value), _time(record), step) for key, value in scores.items() if value is not None]


def step_points(update: Step, time: float) -> Iterator[MetricPoint]:
    """Of one update, made at `time`, in seconds since 1970."""
    values = asdict(update)
    step = values.pop("step")
    for name, value in values.items():
        # An infinite norm comes back from MLflow as the largest number.
        if value is not None and isfinite(value):
            yield MetricPoint(f"train/{name}", value, round(1000 * time), step)


def validation_points(validated: Validated, time: float) -> Iterator[MetricPoint]:
    """Of the scores on the way, made at `time`, in seconds since 1970."""
    for name, value in validated.figures.items():
        yield MetricPoint(f"validation/{name}", value, round(1000 * time), validated.step)


def _time(record: TrainingRecord | EvaluationRecord) -> int:
    return round(1000 * datetime.fromisoformat(record.finished).timestamp())
