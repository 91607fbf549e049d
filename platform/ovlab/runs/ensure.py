"""Train if missing, evaluate if missing, in one process: what a sweep, a trial and a command all call.

Both functions may be killed at any moment and called again, on this machine or another: a training goes on from its
newest checkpoint, here or in the store, and an evaluation with its first missing shard.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from logoseg.checkpoint import load_weights
from logoseg.network import LoGoSeg
from ovlab.datasets.sample import SegmentationDataset
from ovlab.runs.collection import CountRecord, collecting
from ovlab.runs.device import device_name
from ovlab.runs.here import count_here
from ovlab.runs.identity import resolve_training
from ovlab.runs.passes import Counter
from ovlab.runs.progress import Progress
from ovlab.runs.stored_evaluation import EvaluationJob
from ovlab.runs.stored_training import train_into_store
from ovlab.specs.errors import InputError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.artifacts import fetch_weights
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store
from ovlab.training.step_log import StepRecord

NO_PROVENANCE: Mapping[str, Any] = MappingProxyType({})


def ensure_training(
    resolved: ResolvedTraining,
    store: Store,
    workdir: Path,
    *,
    dataset: SegmentationDataset,
    clip_file: Path | None = None,
    device: torch.device,
    num_loader_workers: int = 1,
    checkpoint_every: int = 500,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Sequence[Callable[[StepRecord], None]] = (),
    on_checkpoint: Sequence[Callable[[int, Path], None]] = (),
    provenance: Mapping[str, Any] = NO_PROVENANCE,
    mlflow_run_id: str | None = None,
) -> TrainingRecord:
    """The record of the training, after training it if the store has none.

    `dataset` is the opened split and `clip_file` the CLIP weights that `resolved` has the digests of. The run folder
    is workdir/<fingerprint>. Raises InputError where these are others, or another process trains in the folder, and
    Stopped when `stop`, asked after each update, says so.
    """
    fingerprint = training_fingerprint(resolved)
    if (record := store.training(fingerprint)) is not None:
        return record
    if resolve_training(resolved.spec, dataset, clip_file) != resolved:
        raise InputError(
            f"training {fingerprint[:12]}: the data of {dataset.name} or the CLIP weights are not those it was planned "
            f"with. Give those, or plan again."
        )
    return train_into_store(
        resolved,
        store,
        workdir / fingerprint,
        dataset=dataset,
        clip_file=clip_file,
        device=device,
        num_loader_workers=num_loader_workers,
        checkpoint_every=checkpoint_every,
        progress=progress,
        stop=stop,
        on_step=on_step,
        on_checkpoint=on_checkpoint,
        provenance=provenance,
        mlflow_run_id=mlflow_run_id,
    )


def open_trained(record: TrainingRecord, store: Store, workdir: Path) -> LoGoSeg:
    """The trained network of a record; its weights are copied to workdir/weights and held against their sha256."""
    return load_weights(fetch_weights(store, record, workdir / "weights")).model


def ensure_evaluations(
    jobs: Sequence[EvaluationJob],
    store: Store,
    open_model: Callable[[], nn.Module],
    *,
    device: torch.device,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_counts: Sequence[Callable[[CountRecord], None]] = (),
    provenance: Mapping[str, Any] = NO_PROVENANCE,
    mlflow_run_id: str | None = None,
) -> list[EvaluationRecord]:
    """The records of the evaluations of one subject, in the order of `jobs`, after making those that are missing.

    `open_model` gives the subject: a network with a text_encoder. It is called at most once, and not at all when no
    image is to be counted. Jobs on the same photographs share one pass of the image encoder. `progress` counts images
    over all jobs. Raises InputError where the data of a job are not those of its spec, and Stopped when `stop`, asked
    before each image, says so.
    """
    mlflow_run_ids = {} if mlflow_run_id is None else {job.spec.subject: mlflow_run_id for job in jobs}
    with collecting(
        jobs,
        store,
        device=device_name(device),
        num_gpus=1 if device.type == "cuda" else 0,
        progress=progress,
        on_counts=on_counts,
        provenance=provenance,
        mlflow_run_ids=mlflow_run_ids,
    ) as collection:
        subjects = {job.spec.subject: open_model for job in jobs}
        count_here(collection, Counter(collection.jobs, subjects, device), stop=stop)
        return collection.records(jobs)
