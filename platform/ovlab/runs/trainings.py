"""A training and the store: taken from there, or trained from its newest checkpoint, here or there, to its record.

What trains may be killed at any moment and called again, on this machine or another.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import torch

from logoseg.clip.released_weights import load_clip
from ovlab.datasets.label_pixels import names_of
from ovlab.files.cache import text_cache_folder
from ovlab.methods.networks import build_network
from ovlab.methods.words import text_features
from ovlab.runs.clip_files import provenance_of
from ovlab.runs.context import RunContext
from ovlab.runs.device import device_name, pick_device
from ovlab.runs.executor import Executor
from ovlab.runs.identity import resolve_training
from ovlab.runs.observer import Observer, Observers
from ovlab.runs.peak_memory import PeakMemory
from ovlab.runs.planned import PlannedTraining, require_training
from ovlab.runs.validator import Validator
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.events import Begun
from ovlab.specs.resolved import training_fingerprint
from ovlab.specs.training import TrainingSpec
from ovlab.store.artifacts import fetch_newest_checkpoint, keep_checkpoint, keep_weights, remove_checkpoints
from ovlab.store.journal import read_curve
from ovlab.store.record import TrainingRecord
from ovlab.tracking.provenance import provenance
from ovlab.training.loop import Hooks, TrainingInput, run_identity, train
from ovlab.training.process_group import ALONE, ProcessGroup
from ovlab.training.run_folder import open_run_folder

_log = logging.getLogger(__name__)


def ensure_training(training: PlannedTraining, context: RunContext, executor: Executor) -> TrainingRecord:
    """The record of the training, after training it if the store has none.

    Raises InputError where it is blocked, the data or the CLIP weights are not those of the plan, or another process
    trains in the run folder, and Stopped when `context.stop` says so.
    """
    record = context.store.training(training_fingerprint(require_training(training)))
    if record is None:
        record = executor.train(training, context)
    context.listeners.on_record(record)
    return record


def train_into_store(training: PlannedTraining, context: RunContext, group: ProcessGroup = ALONE) -> TrainingRecord:
    """Train in this process, alone or as rank 0 of a group, and write the record. Errors as `ensure_training`."""
    resolved, store = require_training(training), context.store
    fingerprint, device = training_fingerprint(resolved), pick_device(context.device)
    given = training_input(training, context, device)
    pixels = given.dataset.label_pixels()
    if pixels is not None and pixels.absent:
        _log.warning("%s: no pixel of the training data is %s", given.dataset.name, names_of(pixels.absent))
    folder, listeners = context.run_folder(fingerprint), list[Observer]([context.listeners])
    if context.validation is not None:
        listeners.append(Validator(context.validation, given, folder, device, context.listeners))
    _fetch_state(given, context, fingerprint)

    def begin(num_done: int) -> None:
        context.listeners.on_begin(
            Begun(
                work="training",
                fingerprint=fingerprint,
                device=device_name(device),
                num_gpus=group.size if device.type == "cuda" else 0,
                total=resolved.spec.schedule.steps,
                num_done=num_done,
                batch_size=resolved.spec.schedule.batch_size,
            )
        )

    memory = PeakMemory(device)
    result = train(
        given,
        folder,
        device=device,
        num_loader_workers=context.num_loader_workers,
        checkpoint_every=context.checkpoint_every,
        hooks=Hooks(
            on_begin=begin,
            on_step=Observers(listeners).on_step,
            on_checkpoint=_checkpoint_keeper(context, fingerprint),
            stop=context.stop,
        ),
        group=group,
    )
    if result.status == "stopped":
        raise Stopped(f"stopped after {result.num_steps} steps; the same command continues.")
    weights = keep_weights(store, fingerprint, result.folder.weights)
    cost, curve = context.finished_cost(fingerprint), read_curve(store, fingerprint)
    record = store.put_training(
        TrainingRecord(
            fingerprint=fingerprint,
            training=resolved,
            class_names=tuple(given.dataset.class_names),
            num_steps=resolved.spec.schedule.steps,
            final_loss=curve[-1].loss if curve else None,
            weights=weights,
            cost=cost,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            num_learning=sum(weight.numel() for weight in given.model.parameters() if weight.requires_grad),
            peak_bytes=memory.num_bytes() if result.status == "finished" else None,
            provenance={
                **asdict(provenance(context.source)),
                "clip": provenance_of(resolved.spec.model.clip, context.sources.clip_file(training.preset)),
            },
        )
    )
    remove_checkpoints(store, fingerprint)
    return record


def training_input(training: PlannedTraining, context: RunContext, device: torch.device) -> TrainingInput:
    """The network before its first update, the same at every call and on every machine, with its data and its words.

    Raises InputError where the data or the CLIP weights are not to be found here, or are not those of the plan.
    """
    resolved = require_training(training)
    spec, sources = resolved.spec, context.sources
    dataset, clip_file = sources.dataset(spec.dataset, spec.split), sources.clip_file(training.preset)
    if resolve_training(spec, dataset, clip_file) != resolved:
        raise InputError(
            f"training {training_fingerprint(resolved)[:12]}: the data of {dataset.name} or the CLIP weights on "
            f"{gethostname()} are not those it was planned with. Give those, or plan again."
        )
    model = build_model(spec, clip_file, sources.method_files, device)
    text = text_features(model, [(name,) for name in dataset.class_names], model.prompt_templates)
    return TrainingInput(spec=spec, model=model, text=text, dataset=dataset, weights_digest=resolved.weights_digest)


def build_model(
    spec: TrainingSpec, clip_file: Path | None, method_files: Mapping[str, str], device: torch.device
) -> Any:
    """The untrained network of `spec`, on released CLIP weights or, with None, on random ones of the spec's seed."""
    torch.manual_seed(spec.seed)
    clip = None if clip_file is None else load_clip(spec.model.clip, clip_file, text_cache_folder())
    return build_network(spec.model, clip, method_files).to(device)


def _fetch_state(given: TrainingInput, context: RunContext, fingerprint: str) -> None:
    """Put the newest checkpoint of the store into the run folder, unless one as new is there."""
    if context.run_folder_is_store:
        return
    identity = run_identity(given)
    with open_run_folder(context.run_folder(fingerprint), identity) as folder:
        folder.begin(identity)
        folder.checkpoints.mkdir(exist_ok=True)
        fetch_newest_checkpoint(context.store, fingerprint, folder.checkpoints)


def _checkpoint_keeper(context: RunContext, fingerprint: str) -> Callable[[int, Path], None]:
    """Tells the observer, then copies the checkpoint into the store: the journal may be ahead of it, never behind.

    A store that cannot be written to is named in a warning; the checkpoint is in the run folder all the same.
    """

    def keep(step: int, path: Path) -> None:
        context.listeners.on_checkpoint(step, path)
        if context.run_folder_is_store:
            return
        try:
            keep_checkpoint(context.store, fingerprint, path)
        except (InputError, OSError) as error:
            _log.warning("the checkpoint of step %d is not in the store: %s", step, error)

    return keep
