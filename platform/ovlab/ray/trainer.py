"""A training by several workers of a Ray cluster that share each batch (Ray Train, DDP); it ends in the store.

Rank 0 does what one process would do, with the same run folder and the same checkpoints in the store, and the other
ranks follow it. So whatever ends a run (a worker or a node that is lost, the driver, `kill -9`), the next workers, or
one process alone, go on from its newest checkpoint.

A worker that is lost is replaced, MAX_LOST_WORKERS times. An error of the training itself, which the next attempt
would meet again, ends it at once.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray import cloudpickle
from ray.actor import ActorHandle
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchTrainer

from ovlab.datasets.sample import SegmentationDataset
from ovlab.ray.mailbox import accompany, open_mailbox
from ovlab.ray.worker import Order, TrainingError, work
from ovlab.runs.progress import Progress, Silent
from ovlab.specs.errors import Stopped, WorkError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store
from ovlab.training.process_group import require_shares
from ovlab.training.step_log import StepRecord

MAX_LOST_WORKERS = 10
# Each lasts `ovlab.ray.cluster.WORKER_GROUP_START_TIMEOUT`, in which the cluster had no room for the workers.
MAX_FAILED_STARTS = 12


class _NoRetry(UserCallback):
    """Ray Train retries whatever a worker raises; what its callback raises, it does not."""

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            if isinstance(error, TrainingError):
                raise error


def train_on_workers(
    resolved: ResolvedTraining,
    store: Store,
    workdir: Path,
    *,
    open_data: Callable[[], SegmentationDataset],
    clip_file: Path | None = None,
    num_workers: int | tuple[int, int],
    use_gpu: bool,
    num_loader_workers: int = 1,
    checkpoint_every: int = 500,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_step: Sequence[Callable[[StepRecord], None]] = (),
    provenance: Mapping[str, Any] | None = None,
    mlflow_run_id: str | None = None,
) -> TrainingRecord:
    """The record of the training, after training it on the connected Ray cluster if the store has none.

    `num_workers`: a number that divides the batch size, or for an elastic run the (fewest, most), where the batch is
    shared among as many as there is room for. `open_data`, which is pickled, opens the split on each worker; it and
    `clip_file` are held against the digests of `resolved` there. `workdir` is a path on the workers' machines. `stop`
    is asked twice a second; `on_step` is called here, not in a worker, and again for updates that were lost with one.

    Raises InputError where the workers cannot share the batch or the data are not those that were planned with,
    Stopped when `stop` says so, WorkError when workers were lost again and again or the cluster has no room for them,
    and what the training itself raises.
    """
    fingerprint = training_fingerprint(resolved)
    if (record := store.training(fingerprint)) is not None:
        return record
    require_shares(resolved.spec.schedule.batch_size, num_workers)
    mailbox = open_mailbox()
    order = Order(
        resolved=resolved,
        store=store,
        workdir=workdir.resolve(),
        open_data=open_data,
        clip_file=None if clip_file is None else clip_file.resolve(),
        num_loader_workers=num_loader_workers,
        checkpoint_every=checkpoint_every,
        provenance=dict(provenance or {}),
        mlflow_run_id=mlflow_run_id,
        mailbox=mailbox,
    )
    # Checkpoints go into the run folder and the store; Ray Train only wants a place where it could put some.
    with tempfile.TemporaryDirectory() as unused:
        trainer = TorchTrainer(
            work,
            train_loop_config={"order": order},
            scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
            run_config=RunConfig(
                name=f"train-{fingerprint}",
                storage_path=unused,
                failure_config=FailureConfig(max_failures=MAX_LOST_WORKERS, controller_failure_limit=MAX_FAILED_STARTS),
                callbacks=[_NoRetry()],
                # Of an error, Ray Train prints the traceback several times; it is raised here, once.
                logging_config=LoggingConfig(log_level="CRITICAL"),
            ),
        )
        num_done = _watch(trainer, mailbox, Silent() if progress is None else progress, stop, on_step)
    if (record := store.training(fingerprint)) is None:
        raise Stopped(f"stopped after {num_done} steps; the same command continues.")
    return record


def _watch(
    trainer: TorchTrainer,
    mailbox: ActorHandle,
    progress: Progress,
    stop: Callable[[], bool],
    on_step: Sequence[Callable[[StepRecord], None]],
) -> int:
    """Run the trainer to its end and hand its steps over meanwhile; returns the last."""
    num_done = 0

    def hand_over(record: StepRecord) -> None:
        nonlocal num_done
        num_done = record.step
        progress.update(record.step, loss=record.loss)
        for hook in on_step:
            hook(record)

    # In a thread of its own, because in the main thread `fit` takes Ctrl-C for itself.
    with ThreadPoolExecutor(1, thread_name_prefix="ray-train") as executor:
        ended = executor.submit(trainer.fit)
        try:
            accompany(ended, mailbox, hand_over, stop)
        except BaseException:
            ray.get(mailbox.ask_to_stop.remote())
            raise
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
