"""A training by several workers of a Ray cluster, which divide each batch (Ray Train, DDP); it ends in the store.

Rank 0 does what one process would do, with the same run folder and the same checkpoints in the store, and the other
ranks follow it. So whatever ends a run (a worker or a node that is lost, the driver, `kill -9`), the next workers, or
one process alone, go on from its newest checkpoint.

A worker that is lost is replaced, MAX_LOST_WORKERS times. An error of the training itself, which the next attempt
would meet again, ends it at once.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import ray
import ray.train
from ray import cloudpickle
from ray.actor import ActorHandle
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer

from ovlab.ray.cluster import SILENCE_SECONDS, Cluster
from ovlab.ray.mailbox import accompany, open_mailbox
from ovlab.ray.room import PATIENCE, shortage
from ovlab.ray.worker import Gathered, Order, TrainingError, work
from ovlab.runs.context import RunContext
from ovlab.runs.planned import PlannedTraining, require_training
from ovlab.specs.errors import Stopped, WorkError
from ovlab.specs.events import Begun, Step, Validated
from ovlab.specs.resolved import training_fingerprint
from ovlab.store.record import TrainingRecord
from ovlab.training.process_group import require_shards

MAX_LOST_WORKERS = 10
# Each lasts `ovlab.ray.cluster.WORKER_GROUP_START_TIMEOUT`, in which the cluster had no room for the workers.
MAX_FAILED_STARTS = 12


class _Losses(UserCallback):
    """Ray Train retries whatever a worker raises; what its callback raises, it does not. The driver is told that the
    others are to be replaced."""

    def __init__(self, mailbox: ActorHandle) -> None:
        self.mailbox = mailbox

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            if isinstance(error, TrainingError):
                raise error
        self.mailbox.post.remote([Gathered(0)])


def train_on_workers(
    training: PlannedTraining, context: RunContext, *, num_workers: int | tuple[int, int], cluster: Cluster
) -> TrainingRecord:
    """The record of the training, after training it on `cluster`, which is connected. `context` has a journal.

    `num_workers`: a number that divides the batch size, or for an elastic run the (fewest, most), where the batch is
    divided among as many as there is room for. Every worker opens the data and the CLIP weights at the places of
    `context.sources` and holds them against the plan. `context.stop` is asked twice a second; its observer is called
    here, not in a worker, and again for updates that were lost with one, and told when there is no room for a minute.
    A worker that says nothing for SILENCE_SECONDS is taken for lost.

    Raises InputError where the workers cannot divide the batch or the data are not those that were planned with,
    Stopped when `context.stop` says so, WorkError when workers were lost again and again or the cluster has no room for
    them, and what the training itself raises.
    """
    resolved = require_training(training)
    fingerprint = training_fingerprint(resolved)
    require_shards(resolved.spec.schedule.batch_size, num_workers)
    if context.journal is None:
        raise ValueError("a training on workers is told to the journal of its run; see ovlab.runs.journaling.")
    mailbox = open_mailbox()
    order = Order(
        training=training,
        context=context.portable(),
        header=context.journal.header,
        attempt=context.journal.open().attempt,
        mailbox=mailbox,
        patience=timedelta(seconds=SILENCE_SECONDS),
    )
    use_gpu = cluster.reserves_gpus(context.device)
    # Checkpoints go into the run folder and the store; Ray Train only wants a place where it could put some.
    with tempfile.TemporaryDirectory() as unused:
        trainer = TorchTrainer(
            work,
            train_loop_config={"order": order},
            torch_config=TorchConfig(
                # By itself Ray Train takes NCCL wherever a GPU is reserved.
                backend="nccl" if use_gpu and cluster.computes_on_gpus else "gloo",
                timeout_s=SILENCE_SECONDS,
            ),
            scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
            run_config=RunConfig(
                name=f"train-{fingerprint}",
                storage_path=unused,
                failure_config=FailureConfig(max_failures=MAX_LOST_WORKERS, controller_failure_limit=MAX_FAILED_STARTS),
                callbacks=[_Losses(mailbox)],
                # Of an error, Ray Train prints the traceback several times; it is raised here, once.
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )
        fewest = num_workers if isinstance(num_workers, int) else num_workers[0]
        num_done = _watch(trainer, mailbox, context, lambda: shortage(fewest, use_gpu=use_gpu))
    if (record := context.store.training(fingerprint)) is None:
        raise Stopped(f"stopped after {num_done} steps; the same command continues.")
    return record


def _watch(trainer: TorchTrainer, mailbox: ActorHandle, context: RunContext, missing: Callable[[], str | None]) -> int:
    """Run the trainer to its end and hand its steps over meanwhile; returns the last. `missing` says what workers wait
    for that have no room; a wish to stop then does not wait for it."""
    num_done = 0
    # Since when workers are waited for; None while they are there.
    waits_since: float | None = time.monotonic()
    said: str | None = None

    def hand_over(event: Gathered | Begun | Step | Validated) -> None:
        nonlocal num_done, waits_since, said
        match event:
            case Gathered():
                waits_since, said = None if event.num_processes else time.monotonic(), None
            case Begun():
                context.observer.on_begin(event)
            case Step():
                num_done = event.step
                context.observer.on_step(event)
            case Validated():
                context.observer.on_validation(event)

    def stop() -> bool:
        nonlocal said
        if waits_since is not None and said is None and time.monotonic() - waits_since > PATIENCE:
            said = missing()
            if said is not None:
                context.observer.on_wait(said)
        if said is not None and context.stop():
            raise Stopped(f"stopped while it waited for room: {said} The same command continues.")
        return context.stop()

    # In a thread of its own, because in the main thread `fit` takes Ctrl-C for itself.
    executor = ThreadPoolExecutor(1, thread_name_prefix="ray-train")
    ended = executor.submit(trainer.fit)
    try:
        accompany(ended, mailbox, hand_over, stop)
    except BaseException:
        ray.get(mailbox.ask_to_stop.remote())
        raise
    finally:
        # Ray Train waits for room as long as it has the patience; it ends with the connection.
        executor.shutdown(wait=said is None)
    _raise_cause(ended)
    return num_done


def _raise_cause(ended: "Future[Any]") -> None:
    try:
        ended.result()
    except ray.train.TrainingFailedError as failure:
        cause = failure.controller_failure if isinstance(failure, ray.train.ControllerError) else failure
    else:
        return
    if isinstance(cause, TrainingError):
        if cause.pickled is not None:
            raise cloudpickle.loads(cause.pickled)
        raise RuntimeError(f"worker {cause.rank} failed:\n{cause.report}")
    lines = [line for line in str(cause).splitlines() if line.strip()]
    raise WorkError(f"the workers were lost, and too often: {' '.join(lines[:3])} The same command continues.")
