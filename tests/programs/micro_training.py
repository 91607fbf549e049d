"""A training of seconds that workers can share.

As a program, `python micro_training.py FOLDER`, it trains it by two workers of a local Ray into FOLDER/store, and
prints the number of each step as it hears of it.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import cloudpickle

from hearing import Hearing
from logoseg.presets import tiny
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.identity import resolve_training
from ovlab.runs.journaling import journaled
from ovlab.runs.planned import PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.runs.trainings import ensure_training
from ovlab.shapes.dataset import ShapesDataset, open_shapes
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.events import RunHeader
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store

NUM_STEPS = 50
# Workers do not find this module where pytest does.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class FiveScenes(Sources):
    """What each process opens."""

    num_samples = 5

    def dataset(self, name: str, split: str) -> ShapesDataset:
        return open_shapes("shapes-pc-59", "train", num_samples=self.num_samples)

    def absolute(self) -> "FiveScenes":
        return self


def resolved() -> ResolvedTraining:
    preset = tiny()
    model = replace(
        preset, clip=replace(preset.clip, image_size=64), guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4
    )
    augmentation = AugmentationSpec(crop_size=64, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    schedule = ScheduleSpec(steps=NUM_STEPS, batch_size=4, num_microbatches=2, image_encoder_scale=1.0)
    spec = TrainingSpec(
        model=model, dataset="shapes-pc-59", split="train", augmentation=augmentation, schedule=schedule
    )
    return resolve_training(spec, FiveScenes().dataset("shapes-pc-59", "train"))


def shared_training(store: Store, workdir: Path, executor: Executor | None = None, **changes: Any) -> TrainingRecord:
    """By two workers on the Ray that is connected, or by another executor."""
    identity = resolved()
    fingerprint = training_fingerprint(identity)
    training = PlannedTraining(
        spec=identity.spec, preset="tiny", status="missing", resolved=identity, fingerprint=fingerprint
    )
    given = {"sources": FiveScenes(), "device": "cpu", "num_loader_workers": 0, "checkpoint_every": 5}
    context = RunContext(store=store, workdir=workdir, **{**given, **changes})
    with journaled(RunHeader(run=fingerprint, name="micro"), context) as inner:
        return ensure_training(training, inner, executor or OnRay(num_processes=2))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with connect("local", num_cpus=2):
        shared_training(
            open_store(str(folder / "store")),
            folder / "work",
            observer=Hearing(on_step=lambda step: print(step.step, flush=True)),
        )
