"""What a worker of Ray Train does: rank 0 trains as one process would, the others follow it.

An error of the training itself leaves as a TrainingError; the loss of another worker passes through as it is.
"""

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch.distributed as dist
from ray import cloudpickle
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from logoseg.model_error import ModelError
from ovlab.datasets.sample import SegmentationDataset
from ovlab.ray.mailbox import Correspondent
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.artifacts import file_sha256
from ovlab.store.store import Store
from ovlab.training.process_group import distributed_team
from ovlab.training.run_folder import wait_until_free

# Seconds in which a process that was killed ends and lets its run folder go.
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a worker is told. It travels to other machines."""

    resolved: ResolvedTraining
    store: Store
    workdir: Path
    open_data: Callable[[], SegmentationDataset]
    clip_file: Path | None
    num_loader_workers: int
    checkpoint_every: int
    provenance: Mapping[str, Any]
    mlflow_run_id: str | None
    mailbox: ActorHandle


class TrainingError(Exception):
    """An error that a lost worker does not explain. `report` is its traceback."""

    def __init__(self, rank: int, report: str, pickled: bytes | None) -> None:
        super().__init__(rank, report, pickled)
        self.rank, self.report, self.pickled = rank, report, pickled


def work(config: dict[str, Any]) -> None:
    """What each worker does."""
    rank = ray.train.get_context().get_world_rank()
    try:
        _train_as(rank, config["order"])
    except Stopped:
        return
    except Exception as error:
        if _is_loss(error):
            raise
        told = isinstance(error, InputError | ModelError | WorkError)
        pickled = cloudpickle.dumps(error) if told else None
        raise TrainingError(rank, traceback.format_exc(), pickled) from None


def _train_as(rank: int, order: Order) -> None:
    # With them comes open_clip, seconds of which the process that starts the workers has no need.
    from ovlab.runs.build import build_model, class_text
    from ovlab.runs.stored_training import train_into_store
    from ovlab.training.loop import follow

    device = ray.train.torch.get_device()
    team = distributed_team(device)
    spec = order.resolved.spec
    dataset = order.open_data()
    _require_planned(order, dataset)
    if rank > 0:
        model = build_model(spec, order.clip_file, device)
        text = class_text(model, dataset)
        follow(spec, model, text, dataset, device=device, num_loader_workers=order.num_loader_workers, team=team)
        return
    run_folder = order.workdir / training_fingerprint(order.resolved)
    wait_until_free(run_folder, seconds=PATIENCE)
    correspondent = Correspondent(order.mailbox)
    try:
        train_into_store(
            order.resolved,
            order.store,
            run_folder,
            dataset=dataset,
            clip_file=order.clip_file,
            device=device,
            num_loader_workers=order.num_loader_workers,
            checkpoint_every=order.checkpoint_every,
            progress=None,
            stop=correspondent.asked_to_stop,
            on_step=[correspondent.tell],
            on_checkpoint=(),
            provenance=order.provenance,
            mlflow_run_id=order.mlflow_run_id,
            team=team,
        )
    finally:
        correspondent.flush()


def _require_planned(order: Order, dataset: SegmentationDataset) -> None:
    host = os.uname().nodename
    if dataset.digest != order.resolved.data_digest:
        raise InputError(f"{dataset.name}: its data on {host} are not those the training was planned with.")
    if order.clip_file is not None:
        if not order.clip_file.is_file():
            raise InputError(f"{order.clip_file}: no such file on {host}; put it where every worker finds it.")
        if file_sha256(order.clip_file) != order.resolved.weights_digest:
            raise InputError(f"{order.clip_file}: on {host} these are not the CLIP weights it was planned with.")


def _is_loss(error: Exception) -> bool:
    """Whether it says that another process is gone. Gloo has no type of its own, but names its source file."""
    if isinstance(error, RayActorError | dist.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error)
