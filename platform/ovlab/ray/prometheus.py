"""The observer that Prometheus scrapes: each process tells the agent of its Ray node, whose port is read.

It hears of a training in the process that trains, and of an evaluation where the counts of all actors come in.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from ray.util.metrics import Counter, Gauge

from ovlab.ray import gauges
from ovlab.ray.gauges import METRICS, Metric, run_label
from ovlab.runs.observer import Observer
from ovlab.specs.events import Begun, Counts, RunHeader, Status, Step


@runtime_checkable
class Sink(Protocol):
    """Where metrics go. `labels` has a value for each label of the metric."""

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None: ...

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None: ...


class RaySink:
    """A sink in a process that is connected to Ray: a driver, an actor or a task. It may be pickled."""

    def __init__(self) -> None:
        self.counters = {m.name: Counter(m.name, m.help, m.labels) for m in METRICS if m.kind == "counter"}
        self.gauges = {m.name: Gauge(m.name, m.help, m.labels) for m in METRICS if m.kind == "gauge"}

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None:
        if amount > 0:  # Ray refuses to add nothing
            self.counters[counter.name].inc(amount, dict(labels))

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None:
        self.gauges[gauge.name].set(value, dict(labels))


class Prometheus(Observer):
    """Of one run at a time. One that is killed gives no end: its last sign grows old."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.labels: dict[str, str] = {}
        self.batch_size = 1
        self.updated_at = time.perf_counter()

    def on_start(self, run: RunHeader) -> None:
        self.labels = {"run": run_label(run.run)}
        self._give_sign()

    def on_begin(self, begun: Begun) -> None:
        if begun.work == "training":
            self.batch_size = begun.batch_size
            self.sink.set(gauges.TRAINING_STEPS_PLANNED, begun.total, self.labels)
        self._give_sign()

    def on_step(self, step: Step) -> None:
        self.sink.add(gauges.TRAINING_STEPS, 1, self.labels)
        self.sink.add(gauges.TRAINING_IMAGES, self.batch_size, self.labels)
        self.sink.add(gauges.TRAINING_STEP_SECONDS, self.batch_size / step.images_per_second, self.labels)
        if step.data_seconds is not None:
            self.sink.add(gauges.TRAINING_DATA_WAIT_SECONDS, step.data_seconds, self.labels)
        self.sink.set(gauges.TRAINING_LOSS, step.loss, self.labels)
        self.sink.set(gauges.TRAINING_STEPS_DONE, step.step, self.labels)
        self._give_sign()
        self.updated_at = time.perf_counter()

    def on_checkpoint(self, step: int, path: Path) -> None:
        """Counts the time since the update that the checkpoint was taken behind."""
        self.sink.add(gauges.TRAINING_CHECKPOINTS, 1, self.labels)
        self.sink.add(gauges.TRAINING_CHECKPOINT_SECONDS, time.perf_counter() - self.updated_at, self.labels)
        self._give_sign()

    def on_counts(self, counts: Counts) -> None:
        labels = {"run": run_label(counts.subject), "benchmark": counts.benchmark}
        self.sink.add(gauges.EVALUATION_IMAGES, counts.num_images, labels)
        self.sink.add(gauges.EVALUATION_SHARDS, counts.num_shards, labels)
        self.sink.set(gauges.EVALUATION_SHARDS_LEFT, counts.num_shards_left, labels)
        self._give_sign()

    def on_end(self, status: Status, reason: str) -> None:
        self.sink.set(gauges.ENDED, time.time(), self.labels)

    def _give_sign(self) -> None:
        self.sink.set(gauges.LAST_SIGN, time.time(), self.labels)
