"""Train if missing, evaluate if missing, in one process: what a sweep, a trial and a command all call.

Both functions may be killed at any moment and called again, on this machine or another: a training goes on from its
newest checkpoint, here or in the store, and an evaluation with its first missing shard.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from logoseg.checkpoint import load_weights
from logoseg.network import LoGoSeg
from ovlab.datasets.sample import SegmentationDataset
from ovlab.device import device_name
from ovlab.evaluation.stored_evaluation import (
    EvaluationJob,
    count_shard,
    finish_evaluation,
    job_text,
    missing_shards,
)
from ovlab.progress import Progress, Silent
from ovlab.results.artifacts import fetch_weights
from ovlab.results.attempts import OpenAttempt, attempt
from ovlab.results.record import EvaluationRecord, TrainingRecord
from ovlab.results.shards import commit_shard
from ovlab.results.store import Store
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.sweeps.resolve import resolve_evaluation, resolve_training
from ovlab.training.build import build_model, class_text
from ovlab.training.loop import train
from ovlab.training.step_log import StepRecord
from ovlab.training.stored_run import checkpoint_keeper, fetch_state, finish_training

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
    run_folder = workdir / fingerprint
    with _attempt(store, fingerprint, device) as under_way:
        model = build_model(resolved.spec, clip_file, device)
        text = class_text(model, dataset)
        fetch_state(resolved, store, run_folder, model, dataset)
        result = train(
            resolved.spec,
            model,
            text,
            dataset,
            run_folder,
            device=device,
            num_loader_workers=num_loader_workers,
            checkpoint_every=checkpoint_every,
            progress=progress,
            stop=stop,
            on_step=[lambda _: under_way.beat(), *on_step],
            on_checkpoint=[checkpoint_keeper(resolved, store, run_folder, under_way), *on_checkpoint],
        )
        if result.status == "stopped":
            raise Stopped(f"stopped after {result.num_steps} steps; the same command continues.")
        return finish_training(
            resolved,
            store,
            run_folder,
            under_way,
            class_names=tuple(dataset.class_names),
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
    provenance: Mapping[str, Any] = NO_PROVENANCE,
    mlflow_run_id: str | None = None,
) -> list[EvaluationRecord]:
    """The records of the evaluations of one subject, in the order of `jobs`, after making those that are missing.

    `open_model` gives the subject: a network with a text_encoder. It is called at most once, and not at all when no
    image is to be counted. `progress` counts images over all jobs. Raises InputError where the data of a job are not
    those of its spec, and Stopped when `stop`, asked after each image, says so.
    """
    run = _Evaluations(store, open_model, device, Silent() if progress is None else progress, stop)
    return [run.record_of(job, provenance, mlflow_run_id) for job in jobs]


class _Evaluations:
    """Evaluations of one subject one after the other: the model is opened when it is first needed."""

    def __init__(
        self,
        store: Store,
        open_model: Callable[[], nn.Module],
        device: torch.device,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> None:
        self.store, self.open_model, self.device, self.progress, self.stop = store, open_model, device, progress, stop
        self.model: nn.Module | None = None
        self.num_done = 0

    def record_of(
        self, job: EvaluationJob, provenance: Mapping[str, Any], mlflow_run_id: str | None
    ) -> EvaluationRecord:
        record = self.store.evaluation(job.fingerprint)
        if record is None:
            _require_same_data(job)
            with _attempt(self.store, job.fingerprint, self.device) as under_way:
                self._count(job, under_way)
                record = finish_evaluation(
                    self.store, job, under_way, provenance=provenance, mlflow_run_id=mlflow_run_id
                )
        else:
            self._advance(len(job.images))
        return record

    def _count(self, job: EvaluationJob, under_way: OpenAttempt) -> None:
        missing = missing_shards(self.store, job)
        self._advance(len(job.images) - sum(len(shard.ids) for shard in missing))
        if not missing:
            return
        if self.model is None:
            self.model = self.open_model().to(self.device)
        text = job_text(self.model, job)

        def counted() -> None:
            self._advance(1)
            under_way.beat()

        for shard in missing:
            if self.stop():
                raise Stopped(f"{job.spec.benchmark}: stopped before shard {shard.file}; the same command continues.")
            images = count_shard(self.model, text, job, shard, device=self.device, stop=self.stop, on_image=counted)
            commit_shard(self.store, job.fingerprint, shard, images)
            under_way.keep()

    def _advance(self, num_images: int) -> None:
        self.num_done += num_images
        self.progress.update(self.num_done)


def _attempt(store: Store, fingerprint: str, device: torch.device) -> AbstractContextManager[OpenAttempt]:
    num_gpus = 1 if device.type == "cuda" else 0
    return attempt(store.folder, fingerprint, device=device_name(device), num_gpus=num_gpus)


def _require_same_data(job: EvaluationJob) -> None:
    spec = job.spec
    found = resolve_evaluation(spec.subject, job.dataset, spec.split, spec.protocol, num_images=spec.num_images)
    if found != spec:
        raise InputError(
            f"evaluation {job.fingerprint[:12]}: the data of {job.dataset.name} are not those it was planned with "
            f"({spec.benchmark}, {spec.split}). Give those, or plan again."
        )
