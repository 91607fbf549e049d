"""Two evaluations of a micro model over Ray, as a program that can be killed: python cluster_run.py FOLDER ACTORS.

The folder holds what `save_subject` writes; the results go into FOLDER/store.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.datasets.opening import open_dataset
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.ray.pipeline import count_by_actors
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.journaling import journaled
from ovlab.runs.observer import Observer
from ovlab.runs.subject import find_subject
from ovlab.runs.work import Counted, EvaluationJob, Work
from ovlab.specs.evaluation import whole
from ovlab.specs.events import RunHeader
from ovlab.store import count_shards as shards
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store, open_store

SUBJECT = "a" * 64
WEIGHTS = "weights.safetensors"
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b", "shapes-pc-59")


class Actors(OnRay):
    """However small the work is."""

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        return count_by_actors(work, context, self.num_processes)


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


def evaluate(
    given: Sequence[EvaluationJob], store: Store, weights: Path, executor: Executor, observer: Observer | None = None
) -> list[EvaluationRecord]:
    """Of the micro model, whose weights `save_subject` wrote."""
    context = RunContext(store=store, workdir=weights.parent, device="cpu", observer=observer or Observer())
    with journaled(RunHeader(run=SUBJECT, name="micro"), context) as inner:
        return ensure_evaluations(given, {SUBJECT: find_subject(str(weights)).open_model}, inner, executor)


def main(folder: Path, num_actors: int) -> None:
    small_shards()
    with connect(num_cpus=2):
        evaluate(jobs(60), open_store(str(folder / "store")), folder / WEIGHTS, Actors(num_processes=num_actors))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
