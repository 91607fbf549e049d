"""What a worker of Ray Train does: rank 0 trains as one process would, the others follow it.

An error of the training itself leaves as a TrainingError; the loss of another worker passes through as it is.
"""

import traceback
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import ray.train
import ray.train.torch
import torch
import torch.distributed as dist
from ray import cloudpickle
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from logoseg.model_error import ModelError
from ovlab.ray.mailbox import Correspondent
from ovlab.runs.context import RunContext
from ovlab.runs.journal_observer import JournalObserver
from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedTraining
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.events import Begun, RunHeader, Step, Validated
from ovlab.training.process_group import distributed_group
from ovlab.training.run_folder import wait_until_free

# Seconds in which a process that was killed ends and lets its run folder go.
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a worker is told. It travels to other machines. `attempt`: the one at the run that the driver has begun.
    `patience`: how long the others are waited for."""

    training: PlannedTraining
    context: RunContext
    header: RunHeader
    attempt: str
    mailbox: ActorHandle
    patience: timedelta


class Gathered(NamedTuple):
    """A letter: so many workers are up together; 0 where some were lost."""

    num_processes: int


class TrainingError(Exception):
    """An error that a lost worker does not explain. `report` is its traceback."""

    def __init__(self, rank: int, report: str, pickled: bytes | None) -> None:
        super().__init__(rank, report, pickled)
        self.rank, self.report, self.pickled = rank, report, pickled


class Letters(Observer):
    """Tells the driver where the training begins, of each update, and how it was scored."""

    def __init__(self, correspondent: Correspondent) -> None:
        self.correspondent = correspondent

    def on_begin(self, begun: Begun) -> None:
        self.correspondent.tell(begun)

    def on_step(self, step: Step) -> None:
        self.correspondent.tell(step)

    def on_validation(self, validated: Validated) -> None:
        self.correspondent.tell(validated)


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
    from ovlab.runs.trainings import train_into_store, training_input
    from ovlab.training.loop import follow

    # Ray names a GPU wherever one is reserved, also where it was only told that there are some.
    device = ray.train.torch.get_device() if torch.cuda.is_available() else torch.device("cpu")
    group = distributed_group(device, order.patience)
    context = replace(order.context, device=str(device))
    if rank > 0:
        given = training_input(order.training, context, device)
        follow(given, device=device, num_loader_workers=context.num_loader_workers, group=group)
        return
    correspondent = Correspondent(order.mailbox)
    correspondent.tell(Gathered(group.size))
    correspondent.flush()
    wait_until_free(context.run_folder(order.header.run), seconds=PATIENCE)
    journal = JournalObserver(context.store, order.header, order.attempt)
    context = replace(context, stop=correspondent.asked_to_stop, observer=Letters(correspondent), journal=journal)
    try:
        train_into_store(order.training, context, group)
    finally:
        journal.on_end("FINISHED", "")
        correspondent.flush()


def _is_loss(error: Exception) -> bool:
    """Whether it says that another process is gone. Gloo has no type of its own, but names its source file."""
    if isinstance(error, RayActorError | dist.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error)
