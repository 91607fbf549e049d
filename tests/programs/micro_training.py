"""A training of seconds that workers can share.

As a program, `python micro_training.py FOLDER`, it trains it by two workers of a local Ray into FOLDER/store, and
prints the number of each step as it hears of it.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from logoseg.presets import tiny
from ovlab.ray.cluster import connect
from ovlab.ray.trainer import train_on_workers
from ovlab.runs.identity import resolve_training
from ovlab.shapes.dataset import ShapesDataset, open_shapes
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.resolved import ResolvedTraining
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store

NUM_STEPS = 50
open_data: Callable[[], ShapesDataset] = partial(open_shapes, "shapes-pc-59", "train", num_samples=5)


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
    return resolve_training(spec, open_data())


def two_workers(store: Store, workdir: Path, **changes: Any) -> TrainingRecord:
    """On the Ray that is connected."""
    arguments = {
        "open_data": open_data,
        "num_workers": 2,
        "use_gpu": False,
        "num_loader_workers": 0,
        "checkpoint_every": 5,
    }
    return train_on_workers(resolved(), store, workdir, **{**arguments, **changes})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with connect("local", num_cpus=2):
        two_workers(
            open_store(str(folder / "store")), folder / "work", on_step=[lambda record: print(record.step, flush=True)]
        )
