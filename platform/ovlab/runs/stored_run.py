"""A run and the store: continue from what another machine has saved, save while it trains, write the record at the end.

Each step is a function of its own, so that one process, or the first of several, calls the same.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from ovlab.datasets.sample import SegmentationDataset
from ovlab.specs.errors import InputError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.artifacts import (
    fetch_newest_checkpoint,
    fetch_step_log,
    keep_checkpoint,
    keep_step_log,
    keep_weights,
    remove_checkpoints,
)
from ovlab.store.attempts import OpenAttempt, attempts_at
from ovlab.store.record import TrainingRecord, cost_of
from ovlab.store.store import Store
from ovlab.training.loop import run_identity
from ovlab.training.run_folder import RunFolder, open_run_folder
from ovlab.training.step_log import read_step_log

_log = logging.getLogger(__name__)


def fetch_state(
    resolved: ResolvedTraining, store: Store, run_folder: Path, model: nn.Module, dataset: SegmentationDataset
) -> None:
    """Put the newest checkpoint of the store into `run_folder`, and the log behind it, unless one as new is there.

    Raises InputError when the folder holds another run, or when another process trains there.
    """
    identity = run_identity(resolved.spec, model, dataset)
    with open_run_folder(run_folder, identity) as folder:
        folder.begin(identity)
        folder.checkpoints.mkdir(exist_ok=True)
        fingerprint = training_fingerprint(resolved)
        if fetch_newest_checkpoint(store, fingerprint, folder.checkpoints) is not None:
            fetch_step_log(store, fingerprint, folder.steps)


def checkpoint_keeper(
    resolved: ResolvedTraining, store: Store, run_folder: Path, attempt: OpenAttempt
) -> Callable[[int, Path], None]:
    """A hook `on_checkpoint` that copies the checkpoint into the store.

    A store that cannot be written to is named in a warning; the checkpoint is in the run folder all the same.
    """
    fingerprint = training_fingerprint(resolved)

    def keep(step: int, path: Path) -> None:
        try:
            # The log first: it may be ahead of the checkpoint, never behind it.
            keep_step_log(store, fingerprint, RunFolder(run_folder).steps)
            keep_checkpoint(store, fingerprint, path)
        except (InputError, OSError) as error:
            _log.warning("the checkpoint of step %d is not in the store: %s", step, error)
        attempt.keep()

    return keep


def finish_training(
    resolved: ResolvedTraining,
    store: Store,
    run_folder: Path,
    attempt: OpenAttempt,
    *,
    class_names: tuple[str, ...],
    provenance: Mapping[str, Any],
    mlflow_run_id: str | None,
) -> TrainingRecord:
    """Copy the weights of a run that has them into the store, then write its record; returns the one that is there."""
    fingerprint, folder = training_fingerprint(resolved), RunFolder(run_folder)
    weights = keep_weights(store, fingerprint, folder.weights)
    keep_step_log(store, fingerprint, folder.steps)
    steps = read_step_log(folder.steps)
    attempt.end("finished")
    record = store.put_training(
        TrainingRecord(
            fingerprint=fingerprint,
            training=resolved,
            class_names=class_names,
            num_steps=resolved.spec.schedule.steps,
            final_loss=steps[-1].loss if steps else None,
            weights=weights,
            cost=cost_of(attempts_at(store.folder, fingerprint)),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=dict(provenance),
            mlflow_run_id=mlflow_run_id,
        )
    )
    remove_checkpoints(store, fingerprint)
    return record
