"""A run from its spec to its weights, in one process; killed at any time, the same call continues it.

After SIGKILL at any moment the final weights are, bit for bit, those of an undisturbed run: update k draws the samples
k * batch_size ... of a stream that is a function of the seed, its random numbers are a function of (seed, k), and
everything else it depends on is in the checkpoint. This takes the same machine, the same versions and the same number
of threads, since float sums depend on their order.

Several processes, a `Team`, may share each batch: the leader calls `train`, the others `follow`. Then the loss curve
is that of one process up to float summation, and the bits are those of a team of the same size.

Axes: N classes, P prompts, C joint CLIP width.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from logoseg.checkpoint import save_weights
from ovlab.datasets.sample import SegmentationDataset
from ovlab.specs.errors import InputError
from ovlab.specs.training import TrainingSpec
from ovlab.training.batches import Batch, batches
from ovlab.training.optimizer import build_optimizer, set_learning_rate
from ovlab.training.process_group import ALONE, Team
from ovlab.training.run_folder import RunFolder, RunIdentity, open_run_folder
from ovlab.training.step import autocast, train_step
from ovlab.training.step_log import StepRecord, open_step_log
from ovlab.training.training_state import (
    TrainingState,
    capture,
    frozen_digest,
    load_newest_state,
    restore,
    save_state,
    seed_step,
)


class TrainingResult(NamedTuple):
    """How a call of `train` ended. `num_steps` counts the updates of the run, over all calls.

    "finished": the weights are written. "already_finished": they were there, nothing was done. "stopped": `stop` said
    so; the state is in a checkpoint and the same call goes on from there.
    """

    status: Literal["finished", "already_finished", "stopped"]
    num_steps: int
    folder: RunFolder


def train(
    spec: TrainingSpec,
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    dataset: SegmentationDataset,
    run_folder: Path,
    *,
    device: torch.device,
    num_loader_workers: int = 0,
    checkpoint_every: int = 500,
    stop: Callable[[], bool] = lambda: False,
    on_step: Sequence[Callable[[StepRecord], None]] = (),
    on_checkpoint: Sequence[Callable[[int, Path], None]] = (),
    team: Team = ALONE,
) -> TrainingResult:
    """Train `model` as `spec` says, or continue; the weights end in `run_folder`/weights.safetensors.

    `model` maps images (B 3 H W, RGB in [0, 1]) and `text` to logits (B N h w). It must start from the same weights at
    every call: build it after torch.manual_seed(spec.seed). `stop` is asked after each update; when it says yes, the
    state is saved and the call returns. The hooks run after each update and after each checkpoint (updates done, path
    of its file); an exception in one ends the run there, to be continued by the next call. In a `team` this is the
    leader's part.

    Raises InputError when the folder holds another run, and DivergenceError when the loss is no longer finite.
    """
    if checkpoint_every < 1:
        raise InputError(f"checkpoint_every must be at least 1, got {checkpoint_every}.")
    schedule = spec.schedule
    autocast(device, schedule.precision)  # refuses what the device cannot do before anything is written
    model, text = model.to(device), text.to(device)
    optimizer = build_optimizer(model, schedule)
    identity = run_identity(spec, model, dataset)
    with open_run_folder(run_folder, identity) as folder:
        is_finished = team.agree(folder.weights.exists())
        if is_finished:
            return TrainingResult("already_finished", schedule.steps, folder)
        start, position = _continue(team.agree(load_newest_state(folder.checkpoints)), spec, model, optimizer)
        update = _Update(spec, model, text, optimizer, device, team)
        stream = _batches(spec, dataset, position, num_loader_workers, team)
        first = next(stream)  # data that cannot be read are refused before anything is written
        folder.begin(identity)
        ready = chain([first], stream)
        with closing(stream), open_step_log(folder.steps, num_done=start) as log:
            for step in range(start, schedule.steps):
                record = update(step, ready)
                done, position = record.step, position + schedule.batch_size
                log.write(record)
                for hook in on_step:
                    hook(record)
                stopping = team.agree(done < schedule.steps and stop())
                if stopping or done % checkpoint_every == 0:
                    log.sync()
                    state = capture(done, position, spec, model, optimizer)
                    checkpoint = save_state(folder.checkpoints, state)
                    for on_saved in on_checkpoint:
                        on_saved(done, checkpoint)
                if stopping:
                    return TrainingResult("stopped", done, folder)
            log.sync()
        save_weights(model, spec.model, identity.class_names, folder.weights)
        return TrainingResult("finished", schedule.steps, folder)


def run_identity(spec: TrainingSpec, model: nn.Module, dataset: SegmentationDataset) -> RunIdentity:
    """What the final weights follow from, as the run folder keeps it."""
    return RunIdentity(
        spec=spec,
        class_names=tuple(dataset.class_names),
        samples_digest=hashlib.sha256("\n".join(dataset.sample_ids).encode()).hexdigest(),
        frozen_digest=frozen_digest(model),
    )


def follow(
    spec: TrainingSpec,
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    dataset: SegmentationDataset,
    *,
    device: torch.device,
    num_loader_workers: int = 0,
    team: Team,
) -> None:
    """Make the updates of the leader's call of `train`, with the same arguments, and write nothing."""
    model, text = model.to(device), text.to(device)
    optimizer = build_optimizer(model, spec.schedule)
    is_finished = team.agree(None)
    if is_finished:
        return
    start, position = _continue(team.agree(None), spec, model, optimizer)
    update = _Update(spec, model, text, optimizer, device, team)
    with closing(_batches(spec, dataset, position, num_loader_workers, team)) as stream:
        for step in range(start, spec.schedule.steps):
            update(step, stream)
            stopping = team.agree(None)
            if stopping:
                return


def _continue(state: TrainingState | None, spec: TrainingSpec, model: nn.Module, optimizer: AdamW) -> tuple[int, int]:
    """Restore the state, if there is one; returns the updates done and the position in the sample stream."""
    if state is None:
        return 0, 0
    restore(state, spec, model, optimizer)
    return state.step, state.position


def _batches(
    spec: TrainingSpec, dataset: SegmentationDataset, position: int, num_loader_workers: int, team: Team
) -> Generator[Batch, None, None]:
    return batches(
        dataset,
        spec.augmentation,
        seed=spec.seed,
        batch_size=spec.schedule.batch_size,
        start_position=position,
        num_loader_workers=num_loader_workers,
        share=team.share(spec.schedule.batch_size),
    )


class _Update:
    """What an update takes, but for its number and its batch. To be made when the state is restored."""

    def __init__(
        self,
        spec: TrainingSpec,
        model: nn.Module,
        text: Float[Tensor, "N P C"],
        optimizer: AdamW,
        device: torch.device,
        team: Team,
    ) -> None:
        self.spec, self.text, self.optimizer, self.device, self.team = spec, text, optimizer, device, team
        self.model = team.parallel(model)

    def __call__(self, step: int, stream: Iterator[Batch]) -> StepRecord:
        """Update `step`, counted from 0, on the next batch of the stream. The time for fetching it counts."""
        began = time.perf_counter()
        schedule = self.spec.schedule
        batch = next(stream)
        data_seconds = time.perf_counter() - began
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        self.model.train()
        # Behind the loader and the hooks, which may draw random numbers too.
        seed_step(self.spec.seed, step)
        learning_rate = set_learning_rate(self.optimizer, schedule, step)
        result = train_step(
            self.model,
            self.text,
            images,
            labels,
            self.optimizer,
            schedule,
            step=step + 1,
            num_global_pixels=self.team.mean,
        )
        loss = self.team.mean(result.loss)
        images_per_second = schedule.batch_size / (time.perf_counter() - began)
        return StepRecord(step + 1, loss, learning_rate, result.grad_norm, images_per_second, data_seconds)
