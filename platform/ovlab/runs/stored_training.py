"""One attempt at a training whose record the store lacks: from its newest checkpoint, here or in the store, to it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ovlab.datasets.sample import SegmentationDataset
from ovlab.runs.build import build_model, class_text
from ovlab.runs.device import device_name
from ovlab.runs.progress import Progress
from ovlab.runs.stored_run import checkpoint_keeper, fetch_state, finish_training
from ovlab.specs.errors import Stopped
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.attempts import attempt
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store
from ovlab.training.loop import train
from ovlab.training.process_group import ALONE, Team
from ovlab.training.step_log import StepRecord


def train_into_store(
    resolved: ResolvedTraining,
    store: Store,
    run_folder: Path,
    *,
    dataset: SegmentationDataset,
    clip_file: Path | None,
    device: torch.device,
    num_loader_workers: int,
    checkpoint_every: int,
    progress: Progress | None,
    stop: Callable[[], bool],
    on_step: Sequence[Callable[[StepRecord], None]],
    on_checkpoint: Sequence[Callable[[int, Path], None]],
    provenance: Mapping[str, Any],
    mlflow_run_id: str | None,
    team: Team = ALONE,
) -> TrainingRecord:
    """Train and write the record, in the calling process or as the leader of a team.

    `dataset` and `clip_file` must be what `resolved` has the digests of. Raises InputError when another process trains
    in `run_folder` or it holds another run, and Stopped when `stop`, asked after each update, says so.
    """
    num_gpus = team.size if device.type == "cuda" else 0
    fingerprint = training_fingerprint(resolved)
    with attempt(store.folder, fingerprint, device=device_name(device), num_gpus=num_gpus) as under_way:
        model = build_model(resolved.spec, clip_file, device)
        text = class_text(model, dataset)
        fetch_state(resolved, store, run_folder, model, dataset)
        shown = [] if progress is None else [lambda step: progress.update(step.step, loss=step.loss)]
        result = train(
            resolved.spec,
            model,
            text,
            dataset,
            run_folder,
            device=device,
            num_loader_workers=num_loader_workers,
            checkpoint_every=checkpoint_every,
            stop=stop,
            on_step=[lambda _: under_way.beat(), *shown, *on_step],
            on_checkpoint=[checkpoint_keeper(resolved, store, run_folder, under_way), *on_checkpoint],
            team=team,
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
