"""What a training and an evaluation tell while they work, as hooks of their loops; a sink takes it from there.

The hooks of a training may be pickled and called in a worker. Those of an evaluation belong to the process that
collects, where the counts of all actors come in.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ovlab.ray import gauges as metrics
from ovlab.ray.gauges import Metric, run_label
from ovlab.specs.events import Counts
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.training.step_log import StepRecord


@runtime_checkable
class Sink(Protocol):
    """Where metrics go. `labels` has a value for each label of the metric."""

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None: ...

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None: ...


class NullSink:
    """Tells nobody: that of a process without Ray."""

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None: ...

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None: ...


class TrainingMetrics:
    """`on_step`, to be the last of its kind, and `on_checkpoint` are hooks of `ovlab.training.loop.train`; both go to
    the same process."""

    def __init__(self, sink: Sink, training: ResolvedTraining) -> None:
        self.sink = sink
        self.labels = {"run": run_label(training_fingerprint(training))}
        self.schedule = training.spec.schedule
        self.updated_at = time.perf_counter()

    def on_step(self, record: StepRecord) -> None:
        batch_size = self.schedule.batch_size
        self.sink.add(metrics.TRAINING_STEPS, 1, self.labels)
        self.sink.add(metrics.TRAINING_IMAGES, batch_size, self.labels)
        self.sink.add(metrics.TRAINING_STEP_SECONDS, batch_size / record.images_per_second, self.labels)
        if record.data_seconds is not None:
            self.sink.add(metrics.TRAINING_DATA_WAIT_SECONDS, record.data_seconds, self.labels)
        self.sink.set(metrics.TRAINING_LOSS, record.loss, self.labels)
        self.sink.set(metrics.TRAINING_STEPS_DONE, record.step, self.labels)
        self.sink.set(metrics.TRAINING_STEPS_PLANNED, self.schedule.steps, self.labels)
        _give_sign(self.sink, self.labels)
        self.updated_at = time.perf_counter()

    def on_checkpoint(self, step: int, path: Path) -> None:
        """Counts the time since the update that the checkpoint was taken behind; earlier hooks belong to it."""
        self.sink.add(metrics.TRAINING_CHECKPOINTS, 1, self.labels)
        self.sink.add(metrics.TRAINING_CHECKPOINT_SECONDS, time.perf_counter() - self.updated_at, self.labels)
        _give_sign(self.sink, self.labels)


class EvaluationMetrics:
    """`on_counts` is that of an observer of evaluations."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def on_counts(self, counts: Counts) -> None:
        run = {"run": run_label(counts.subject)}
        labels = {**run, "benchmark": counts.benchmark}
        self.sink.add(metrics.EVALUATION_IMAGES, counts.num_images, labels)
        self.sink.add(metrics.EVALUATION_SHARDS, counts.num_shards, labels)
        self.sink.set(metrics.EVALUATION_SHARDS_LEFT, counts.num_shards_left, labels)
        _give_sign(self.sink, run)


@contextmanager
def training_metrics(sink: Sink, training: ResolvedTraining) -> Iterator[TrainingMetrics]:
    """The hooks of a training that lasts as long as the block."""
    with _signs(sink, [training_fingerprint(training)]):
        yield TrainingMetrics(sink, training)


@contextmanager
def evaluation_metrics(sink: Sink, subjects: Collection[str]) -> Iterator[EvaluationMetrics]:
    """The hooks of evaluations of `subjects`, by fingerprint, that last as long as the block."""
    with _signs(sink, subjects):
        yield EvaluationMetrics(sink)


@contextmanager
def _signs(sink: Sink, fingerprints: Collection[str]) -> Iterator[None]:
    """A first sign of life of each, and their end. One that is killed gives no end: its last sign grows old."""
    runs = [{"run": run_label(fingerprint)} for fingerprint in fingerprints]
    for labels in runs:
        _give_sign(sink, labels)
    try:
        yield
    finally:
        for labels in runs:
            sink.set(metrics.ENDED, time.time(), labels)


def _give_sign(sink: Sink, labels: Mapping[str, str]) -> None:
    sink.set(metrics.LAST_SIGN, time.time(), labels)
