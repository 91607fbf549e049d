"""Train if missing, in one process. It may be killed at any moment and called again, on this machine or another: a
training goes on from its newest checkpoint, here or in the store."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from logoseg.checkpoint import load_weights
from logoseg.network import LoGoSeg
from ovlab.datasets.sample import SegmentationDataset
from ovlab.runs.identity import resolve_training
from ovlab.runs.progress import Progress
from ovlab.runs.stored_training import train_into_store
from ovlab.specs.errors import InputError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.artifacts import fetch_weights
from ovlab.store.record import TrainingRecord
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
