"""A run from its spec to its weights, in one process; killed at any time, the same call continues it.

After SIGKILL at any moment the final weights are, bit for bit, those of an undisturbed run: update k draws the samples
k * batch_size ... of a stream that is a function of the seed, its random numbers are a function of (seed, k), and
everything else it depends on is in the checkpoint. This takes the same machine, the same versions and the same number
of threads, since float sums depend on their order.

Each batch may be divided over a `ProcessGroup`: rank 0 calls `train`, the others `follow`. Then the loss curve is that
of one process up to float summation, and the bits are those of a group of the same size.

Axes: N classes, P prompts, C joint CLIP width.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from logoseg.checkpoint import require_whole_file
from logoseg.clip.released_weights import first_non_finite
from logoseg.model_error import ModelError
from ovlab.datasets.sample import SegmentationDataset
from ovlab.methods.networks import write_network
from ovlab.specs.errors import InputError
from ovlab.specs.events import Step
from ovlab.specs.resolved import TRAINING_VERSION
from ovlab.specs.training import ScheduleSpec, TrainingSpec
from ovlab.training.batches import Batch, batches
from ovlab.training.objective import autocast, objective_of
from ovlab.training.optimizer import build_optimizer, set_learning_rate
from ovlab.training.process_group import ALONE, ProcessGroup
from ovlab.training.run_folder import RunFolder, RunIdentity, open_run_folder
from ovlab.training.step import DivergenceError, train_step
from ovlab.training.training_state import (
    TrainingState,
    capture,
    frozen_digest,
    load_newest_state,
    restore,
    save_state,
    seed_step,
)

_log = logging.getLogger(__name__)


class TrainingResult(NamedTuple):
    """How a call of `train` ended. `num_steps` counts the updates of the run, over all calls.

    "finished": the weights are written. "already_finished": they were there, nothing was done. "stopped": `stop` said
    so; the state is in a checkpoint and the same call goes on from there.
    """

    status: Literal["finished", "already_finished", "stopped"]
    num_steps: int
    folder: RunFolder


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class TrainingInput:
    """What is trained, on what. `model` maps images (B 3 H W, RGB in [0, 1]) and `text` to logits (B N h w), or has a
    `training_loss`, see ovlab.methods.segmenter. It must start from the same weights at every call: build it after
    torch.manual_seed(spec.seed). `weights_digest`: the sha256 of the file of CLIP that it starts from."""

    spec: TrainingSpec
    model: nn.Module
    text: Float[Tensor, "N P C"]
    dataset: SegmentationDataset
    weights_digest: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Called with the updates that were done before, once nothing is left that could be refused; after each update; and
    after each checkpoint with the updates done and its file. An exception ends the run there, to be continued by the
    next call. `stop` is asked after each update; when it says yes, the state is saved."""

    on_begin: Callable[[int], None] = lambda num_done: None
    on_step: Callable[[Step], None] = lambda step: None
    on_checkpoint: Callable[[int, Path], None] = lambda num_done, file: None
    stop: Callable[[], bool] = lambda: False


def train(
    given: TrainingInput,
    run_folder: Path,
    *,
    device: torch.device,
    num_loader_workers: int = 0,
    checkpoint_every: int = 500,
    hooks: Hooks = Hooks(),  # frozen
    group: ProcessGroup = ALONE,
) -> TrainingResult:
    """Train, or continue; the weights end in `run_folder`/weights.safetensors. In a `group` this is rank 0's part.

    Raises InputError when the folder holds another run, and DivergenceError when the loss is no longer finite,
    or the weights that would be written.
    """
    if checkpoint_every < 1:
        raise InputError(f"checkpoint_every must be at least 1, got {checkpoint_every}.")
    spec, schedule = given.spec, given.spec.schedule
    autocast(device, schedule.precision)  # refuses what the device cannot do before anything is written
    model = given.model.to(device)
    optimizer = build_optimizer(model, schedule)
    identity = run_identity(given)
    with open_run_folder(run_folder, identity) as folder:
        is_finished = group.broadcast(_has_weights(folder))
        if is_finished:
            hooks.on_begin(schedule.steps)
            return TrainingResult("already_finished", schedule.steps, folder)
        start, position = _continue(group.broadcast(load_newest_state(folder.checkpoints)), identity, model, optimizer)
        update = _Update(given, optimizer, device, group)
        stream = _batches(given, position, num_loader_workers, group)
        first = next(stream)  # data that cannot be read are refused before anything is written
        folder.begin(identity)
        hooks.on_begin(start)
        ready = chain([first], stream)
        with closing(stream):
            for step in range(start, schedule.steps):
                record = update(step, ready)
                done, position = record.step, position + schedule.batch_size
                hooks.on_step(record)
                stopping = group.broadcast(done < schedule.steps and hooks.stop())
                if stopping or done % checkpoint_every == 0:
                    _require_finite(model, schedule, done)
                    checkpoint = save_state(folder.checkpoints, capture(done, position, identity, model, optimizer))
                    hooks.on_checkpoint(done, checkpoint)
                if stopping:
                    return TrainingResult("stopped", done, folder)
        _require_finite(model, schedule, schedule.steps)
        write_network(model, spec.model, identity.class_names, folder.weights)
        return TrainingResult("finished", schedule.steps, folder)


def _has_weights(folder: RunFolder) -> bool:
    """Whether the weights are there. Damaged ones are named in a warning and removed, to be trained again."""
    if not folder.weights.exists():
        return False
    try:
        require_whole_file(folder.weights)
    except ModelError as error:
        _log.warning("%s The training goes on from its last checkpoint.", error)
        folder.weights.unlink()
        return False
    return True


def _require_finite(model: nn.Module, schedule: ScheduleSpec, step: int) -> None:
    """The loss of an update tells of the weights before it, so that the last of all would go unnoticed."""
    diverged = first_non_finite(model.state_dict())
    if diverged is not None:
        raise DivergenceError(
            f"step {step}: {diverged} holds NaN or infinity after it; no weights are written. "
            f"Try a lower schedule.learning_rate (now {schedule.learning_rate})."
        )


def run_identity(given: TrainingInput) -> RunIdentity:
    """What the final weights follow from, as the run folder keeps it."""
    dataset = given.dataset
    return RunIdentity(
        spec=given.spec,
        class_names=tuple(dataset.class_names),
        samples_digest=hashlib.sha256("\n".join(dataset.sample_ids).encode()).hexdigest(),
        frozen_digest=frozen_digest(given.model),
        data_digest=dataset.digest,
        weights_digest=given.weights_digest,
        training_version=TRAINING_VERSION,
    )


def follow(given: TrainingInput, *, device: torch.device, num_loader_workers: int = 0, group: ProcessGroup) -> None:
    """Make the updates of rank 0's call of `train`, with the same input, and write nothing."""
    spec, model = given.spec, given.model.to(device)
    optimizer = build_optimizer(model, spec.schedule)
    is_finished = group.broadcast(None)
    if is_finished:
        return
    start, position = _continue(group.broadcast(None), run_identity(given), model, optimizer)
    update = _Update(given, optimizer, device, group)
    with closing(_batches(given, position, num_loader_workers, group)) as stream:
        for step in range(start, spec.schedule.steps):
            update(step, stream)
            stopping = group.broadcast(None)
            if stopping:
                return


def _continue(state: TrainingState | None, run: RunIdentity, model: nn.Module, optimizer: AdamW) -> tuple[int, int]:
    """Restore the state, if there is one; returns the updates done and the position in the sample stream."""
    if state is None:
        return 0, 0
    restore(state, run, model, optimizer)
    return state.step, state.position


def _batches(
    given: TrainingInput, position: int, num_loader_workers: int, group: ProcessGroup
) -> Generator[Batch, None, None]:
    spec = given.spec
    return batches(
        given.dataset,
        spec.augmentation,
        seed=spec.seed,
        batch_size=spec.schedule.batch_size,
        start_position=position,
        num_loader_workers=num_loader_workers,
        shard=group.shard(spec.schedule.batch_size),
    )


class _Update:
    """What an update takes, but for its number and its batch. To be made when the state is restored."""

    def __init__(
        self,
        given: TrainingInput,
        optimizer: AdamW,
        device: torch.device,
        group: ProcessGroup,
    ) -> None:
        self.spec, self.text = given.spec, given.text.to(device)
        self.optimizer, self.device, self.group = optimizer, device, group
        objective = objective_of(given.model, given.spec.schedule, given.dataset.class_names)
        self.objective: Any = group.parallel(objective)
        self.process_time = time.process_time()

    def __call__(self, step: int, stream: Iterator[Batch]) -> Step:
        """Update `step`, counted from 0, on the next batch of the stream. The time for fetching it counts."""
        began = time.perf_counter()
        schedule = self.spec.schedule
        batch = next(stream)
        data_seconds = time.perf_counter() - began
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        self.objective.train()
        # Behind the loader and the hooks, which may draw random numbers too.
        seed_step(self.spec.seed, step)
        learning_rate = set_learning_rate(self.optimizer, schedule, step)
        result = train_step(
            self.objective,
            self.text,
            images,
            labels,
            self.optimizer,
            schedule,
            step=step + 1,
            num_global=self.group.mean,
        )
        loss = self.group.mean(result.loss)
        images_per_second = schedule.batch_size / (time.perf_counter() - began)
        before, self.process_time = self.process_time, time.process_time()
        return Step(
            step=step + 1,
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=result.grad_norm,
            images_per_second=images_per_second,
            data_seconds=data_seconds,
            process_seconds=self.group.mean(self.process_time - before) * self.group.size,
        )
