"""ovlab.ray.prometheus: what a training and an evaluation tell, with a sink that keeps it."""

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

import micro_run as micro
from ovlab.ray import gauges as metrics
from ovlab.ray.gauges import Metric, run_label
from ovlab.ray.prometheus import Prometheus
from ovlab.runs.journaling import journaled
from ovlab.runs.observer import Observer, Observers
from ovlab.specs.events import Begun, Step
from ovlab.store import count_shards as shards
from ovlab.store.store import open_store


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
    class Steps(Observer):
        def __init__(self) -> None:
            self.made: list[Step] = []

        def on_step(self, step: Step) -> None:
            self.made.append(step)

    sink, store, steps = Kept(), open_store(str(tmp_path / "store")), Steps()
    schedule, run = micro.spec().schedule, run_label(micro.header().run)
    began = time.time()
    observer = Observers((steps, Prometheus(sink)))

    record = micro.micro_training(store, tmp_path / "work", observer=observer)
    micro.micro_evaluations(store, tmp_path / "work", record, observer=observer)

    assert sink.sums[metrics.TRAINING_STEPS.name, run] == schedule.steps
    assert sink.sums[metrics.TRAINING_IMAGES.name, run] == schedule.steps * schedule.batch_size
    assert sink.sums[metrics.TRAINING_STEP_SECONDS.name, run] == pytest.approx(
        sum(schedule.batch_size / step.images_per_second for step in steps.made)
    )
    assert sink.sums[metrics.TRAINING_DATA_WAIT_SECONDS.name, run] == pytest.approx(
        sum(step.data_seconds for step in steps.made)
    )
    assert sink.sums[metrics.TRAINING_CHECKPOINTS.name, run] == 2
    assert sink.sums[metrics.TRAINING_CHECKPOINT_SECONDS.name, run] > 0
    assert sink.values[metrics.TRAINING_LOSS.name, run] == [step.loss for step in steps.made]
    assert sink.values[metrics.TRAINING_STEPS_DONE.name, run] == [1, 2, 3, 4]
    assert set(sink.values[metrics.TRAINING_STEPS_PLANNED.name, run]) == {4}
    for benchmark in micro.BENCHMARKS:
        assert sink.sums[metrics.EVALUATION_IMAGES.name, run, benchmark] == micro.NUM_IMAGES
        assert sink.sums[metrics.EVALUATION_SHARDS.name, run, benchmark] == 3
        # Two images a shard, and one in the last.
        assert sink.values[metrics.EVALUATION_SHARDS_LEFT.name, run, benchmark] == [3, 2, 2, 1, 0]
    signs, ends = sink.values[metrics.LAST_SIGN.name, run], sink.values[metrics.ENDED.name, run]
    assert began <= signs[0] <= signs[-1] <= ends[-1] <= time.time()
    assert len(ends) == 2
    metrics_told = {key[0] for key in (*sink.sums, *sink.values)}
    assert metrics_told == {metric.name for metric in metrics.METRICS}


def test_training_that_fails_has_ended(tmp_path: Path) -> None:
    sink = Kept()
    context = micro.context(open_store(str(tmp_path / "store")), tmp_path, observer=Prometheus(sink))
    with pytest.raises(KeyError), journaled(micro.header(), context):
        raise KeyError

    assert len(sink.values[metrics.ENDED.name, run_label(micro.header().run)]) == 1


def test_checkpoint_counts_the_time_since_its_update(tmp_path: Path) -> None:
    sink = Kept()
    observer = Prometheus(sink)
    observer.on_start(micro.header())
    observer.on_begin(Begun(work="training", fingerprint="a" * 64, device="cpu", num_gpus=0, total=4))
    observer.on_step(Step(step=1, loss=0.5, learning_rate=1e-4, grad_norm=1.0, images_per_second=2.0))
    time.sleep(0.05)
    observer.on_checkpoint(1, tmp_path)

    (seconds,) = (amount for key, amount in sink.sums.items() if key[0] == metrics.TRAINING_CHECKPOINT_SECONDS.name)
    assert seconds >= 0.05
