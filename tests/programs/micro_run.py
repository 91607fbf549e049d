"""A training and two evaluations of seconds, with every part of a LoGoSeg.

As a program, `python micro_run.py FOLDER`, it makes them twice: in FOLDER/undisturbed in one process, and in
FOLDER/killed in one process after another, each ended with SIGKILL at another moment, until one comes to the end. It
prints the signals that ended the processes, 0 for none, and then what the last process of each made, as JSON.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hearing import Hearing
from logoseg.presets import tiny
from ovlab.runs import context as runs_context
from ovlab.runs import work as run_work
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation, resolve_training
from ovlab.runs.journaling import journaled
from ovlab.runs.planned import PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.runs.subject import open_stored
from ovlab.runs.trainings import ensure_training
from ovlab.runs.work import EvaluationJob
from ovlab.shapes.dataset import ShapesDataset, open_shapes
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.evaluation import whole
from ovlab.specs.events import RunHeader
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.store import count_shards as shards
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store, open_store

CPU = torch.device("cpu")
NUM_IMAGES = 5
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b")


def spec() -> TrainingSpec:
    preset = tiny()
    model = replace(
        preset, clip=replace(preset.clip, image_size=64), guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4
    )
    augmentation = AugmentationSpec(crop_size=64, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    schedule = ScheduleSpec(steps=4, batch_size=1, image_encoder_scale=1.0)
    return TrainingSpec(
        model=model, dataset="shapes-pc-59", split="train", augmentation=augmentation, schedule=schedule
    )


def training_data() -> ShapesDataset:
    return open_shapes("shapes-pc-59", "train", num_samples=4)


class MicroSources(Sources):
    """Of four scenes."""

    def dataset(self, name: str, split: str) -> ShapesDataset:
        return training_data()

    def absolute(self) -> "MicroSources":
        return self


def resolved() -> ResolvedTraining:
    return resolve_training(spec(), training_data())


def planned() -> PlannedTraining:
    identity = resolved()
    return PlannedTraining(
        spec=identity.spec,
        preset="tiny",
        status="missing",
        resolved=identity,
        fingerprint=training_fingerprint(identity),
    )


def context(store: Store, workdir: Path, **changes: Any) -> RunContext:
    given = {"sources": MicroSources(), "device": "cpu", "num_loader_workers": 0, "checkpoint_every": 2}
    return RunContext(store=store, workdir=workdir, **{**given, **changes})


def header() -> RunHeader:
    return RunHeader(run=training_fingerprint(resolved()), name="micro")


def micro_training(store: Store, workdir: Path, executor: Executor | None = None, **changes: Any) -> TrainingRecord:
    with journaled(header(), context(store, workdir, **changes)) as inner:
        return ensure_training(planned(), inner, executor or Here())


def jobs(subject: str) -> list[EvaluationJob]:
    """Five images each, in shards of two: see `small_shards`."""
    datasets = [open_shapes(name, "val", num_samples=8) for name in BENCHMARKS]
    return [
        EvaluationJob(resolve_evaluation(subject, dataset, "val", whole(64), num_images=NUM_IMAGES), dataset)
        for dataset in datasets
    ]


def small_shards() -> None:
    shards.IMAGES_PER_SHARD = 2


def micro_evaluations(
    store: Store,
    workdir: Path,
    training: TrainingRecord,
    open_model: Callable[[], torch.nn.Module] | None = None,
    **changes: Any,
) -> list[EvaluationRecord]:
    subject = {training.fingerprint: open_model or partial(open_stored, store, training)}
    with journaled(replace(header(), run=training.fingerprint), context(store, workdir, **changes)) as inner:
        return ensure_evaluations(jobs(training.fingerprint), subject, inner, Here())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after_step(step: int) -> dict[str, Any]:
    return {"observer": Hearing(on_step=lambda record: record.step == step and die())}


def on_another_machine(folder: Path) -> dict[str, Any]:
    """The run folder is gone; what is left is in the store."""
    shutil.rmtree(folder / "work")
    return die_after_step(4)


def die_before_the_record() -> dict[str, Any]:
    runs_context.finished_cost = lambda *_: die()
    return {}


def die_in_image(number: int) -> dict[str, Any]:
    """Of all photographs that this process shows to the network; the two evaluations share them."""
    evaluate, num_counted = run_work.evaluate, 0

    def counted_evaluate(*arguments: Any, **options: Any) -> Any:
        nonlocal num_counted
        for image in evaluate(*arguments, **options):
            num_counted += 1
            if num_counted == number:
                die()
            yield image

    run_work.evaluate = counted_evaluate
    return {}


def train_and_evaluate(folder: Path, death: Callable[[Path], dict[str, Any]]) -> None:
    store, workdir = open_store(str(folder / "store")), folder / "work"
    training = micro_training(store, workdir, **death(folder))
    records = micro_evaluations(store, workdir, training)
    made = {record.evaluation.benchmark: dict(record.figures) for record in records}
    (folder / "made.json").write_text(json.dumps({"weights": training.weights.sha256, **made}))


DEATHS: tuple[Callable[[Path], dict[str, Any]], ...] = (
    lambda folder: die_after_step(1),  # before the first checkpoint
    lambda folder: die_after_step(3),  # one update behind it
    on_another_machine,
    lambda folder: die_before_the_record(),
    lambda folder: die_in_image(4),  # in the second shard
    lambda folder: die_in_image(3),  # one more shard, then in the third
)


def in_a_process(folder: Path, death: Callable[[Path], dict[str, Any]]) -> int:
    """Returns the signal that ended the process, 0 for none."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        small_shards()
        try:
            train_and_evaluate(folder, death)
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    print(in_a_process(root / "undisturbed", lambda folder: {}))
    print(*(in_a_process(root / "killed", death) for death in (*DEATHS, lambda folder: {})))
    for name in ("undisturbed", "killed"):
        print((root / name / "made.json").read_text())
