"""Two evaluations of a micro model over Ray, as a program that can be killed: python cluster_run.py FOLDER ACTORS.

The folder holds what `save_subject` writes; the results go into FOLDER/store.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from ovlab.runs.stored_evaluation import EvaluationJob
from ovlab.runs.weights import open_model

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.datasets.opening import open_dataset
from ovlab.ray.cluster import connect
from ovlab.ray.pipeline import ensure_evaluations_on_ray
from ovlab.runs.identity import resolve_evaluation
from ovlab.specs.evaluation import whole
from ovlab.store import count_shards as shards
from ovlab.store.store import open_store

SUBJECT = "a" * 64
WEIGHTS = "weights.safetensors"
CPU = torch.device("cpu")
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b", "shapes-pc-59")


def jobs(num_images: int = 20) -> list[EvaluationJob]:
    datasets = [open_dataset(name, "val", num_samples=num_images) for name in BENCHMARKS]
    return [EvaluationJob(resolve_evaluation(SUBJECT, data, "val", whole(64)), data) for data in datasets]


def save_subject(folder: Path) -> Path:
    """The weights of the micro model."""
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    config = replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)
    torch.manual_seed(0)
    path = folder / WEIGHTS
    save_weights(LoGoSeg(config).eval(), config, ("thing",), path)
    return path


def small_shards() -> None:
    shards.IMAGES_PER_SHARD = 4


def main(folder: Path, num_actors: int) -> None:
    small_shards()
    with connect(num_cpus=2):
        ensure_evaluations_on_ray(
            jobs(60),
            open_store(str(folder / "store")),
            {SUBJECT: partial(open_model, str(folder / WEIGHTS))},
            device=CPU,
            num_actors=num_actors,
            small_work_seconds=0.0,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
