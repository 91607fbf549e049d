"""ovlab.ray.hooks: what a training and an evaluation tell, with a sink that keeps it."""

import pickle
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

import micro_run as micro
from ovlab.ray import gauges as metrics
from ovlab.ray.gauges import Metric, run_label
from ovlab.ray.hooks import NullSink, TrainingMetrics, evaluation_metrics, training_metrics
from ovlab.runs.observer import Observer
from ovlab.specs.events import Counts
from ovlab.specs.resolved import training_fingerprint
from ovlab.store import count_shards as shards
from ovlab.store.store import open_store
from ovlab.training.step_log import StepRecord


class Kept:
    """The sum of a counter and the values of a gauge, by metric and labels."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], float] = defaultdict(float)
        self.values: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def add(self, counter: Metric, amount: int | float, labels: Mapping[str, str]) -> None:
        assert counter.kind == "counter"
        assert amount >= 0
        self.sums[self._key(counter, labels)] += amount

    def set(self, gauge: Metric, value: int | float, labels: Mapping[str, str]) -> None:
        assert gauge.kind == "gauge"
        self.values[self._key(gauge, labels)].append(value)

    def _key(self, metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
        assert tuple(labels) == metric.labels
        return (metric.name, *labels.values())


@pytest.fixture
def few_images_a_shard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shards, "IMAGES_PER_SHARD", 2)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("few_images_a_shard")
def test_training_and_its_evaluations_tell_all_they_did(tmp_path: Path) -> None:
    sink, store, steps = Kept(), open_store(str(tmp_path / "store")), []
    resolved = micro.resolved()
    run = run_label(training_fingerprint(resolved))
    began = time.time()

    with training_metrics(sink, resolved) as hooks:
        record = micro.micro_training(
            store, tmp_path / "work", on_step=[steps.append, hooks.on_step], on_checkpoint=[hooks.on_checkpoint]
        )
    jobs = micro.jobs(record.fingerprint)
    with evaluation_metrics(sink, [record.fingerprint]) as hooks:

        class Told(Observer):
            def on_counts(self, counts: Counts) -> None:
                hooks.on_counts(counts)

        micro.micro_evaluations(store, tmp_path / "work", record, observer=Told())

    schedule = resolved.spec.schedule
    assert sink.sums[metrics.TRAINING_STEPS.name, run] == schedule.steps
    assert sink.sums[metrics.TRAINING_IMAGES.name, run] == schedule.steps * schedule.batch_size
    assert sink.sums[metrics.TRAINING_STEP_SECONDS.name, run] == pytest.approx(
        sum(schedule.batch_size / step.images_per_second for step in steps)
    )
    assert sink.sums[metrics.TRAINING_DATA_WAIT_SECONDS.name, run] == pytest.approx(
        sum(step.data_seconds for step in steps)
    )
    assert sink.sums[metrics.TRAINING_CHECKPOINTS.name, run] == 2
    assert sink.sums[metrics.TRAINING_CHECKPOINT_SECONDS.name, run] > 0
    assert sink.values[metrics.TRAINING_LOSS.name, run] == [step.loss for step in steps]
    assert sink.values[metrics.TRAINING_STEPS_DONE.name, run] == [1, 2, 3, 4]
    assert set(sink.values[metrics.TRAINING_STEPS_PLANNED.name, run]) == {4}
    for job in jobs:
        assert sink.sums[metrics.EVALUATION_IMAGES.name, run, job.spec.benchmark] == micro.NUM_IMAGES
        assert sink.sums[metrics.EVALUATION_SHARDS.name, run, job.spec.benchmark] == 3
        # Two images a shard, and one in the last.
        assert sink.values[metrics.EVALUATION_SHARDS_LEFT.name, run, job.spec.benchmark] == [3, 2, 2, 1, 0]
    signs, ends = sink.values[metrics.LAST_SIGN.name, run], sink.values[metrics.ENDED.name, run]
    assert began <= signs[0] <= signs[-1] <= ends[-1] <= time.time()
    assert len(ends) == 2
    metrics_told = {key[0] for key in (*sink.sums, *sink.values)}
    assert metrics_told == {metric.name for metric in metrics.METRICS}


def test_training_that_fails_has_ended() -> None:
    sink = Kept()
    with pytest.raises(KeyError), training_metrics(sink, micro.resolved()):
        raise KeyError

    assert len(sink.values[metrics.ENDED.name, run_label(training_fingerprint(micro.resolved()))]) == 1


def test_checkpoint_counts_the_time_since_its_update(tmp_path: Path) -> None:
    sink = Kept()
    hooks = TrainingMetrics(sink, micro.resolved())
    hooks.on_step(StepRecord(1, 0.5, 1e-4, 1.0, images_per_second=2.0))
    time.sleep(0.05)
    hooks.on_checkpoint(1, tmp_path)

    (seconds,) = (amount for key, amount in sink.sums.items() if key[0] == metrics.TRAINING_CHECKPOINT_SECONDS.name)
    assert seconds >= 0.05


def test_hooks_of_a_training_can_be_sent_to_a_worker() -> None:
    hooks = pickle.loads(pickle.dumps(TrainingMetrics(NullSink(), micro.resolved())))

    hooks.on_step(StepRecord(1, 0.5, 1e-4, 1.0, images_per_second=2.0))
