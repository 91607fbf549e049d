"""One optimiser update on one batch.

    L = sum over micro-batches m of |M_m| / |M| * L_m

Eq. 13 divides by the labelled pixels |M| of the whole batch. A micro-batch has divided by its own |M_m|, so it counts
by its share; then any number of micro-batches, or of processes, gives the gradient of the whole batch. The loss of
another method is a mean over images, and |M| is their number; or it has several terms, each with an |M| of its own.

Axes: B images, N classes, P prompts, C joint CLIP width, H x W pixels.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ovlab.specs.errors import WorkError
from ovlab.specs.training import ScheduleSpec
from ovlab.training.objective import Objective


class StepResult(NamedTuple):
    """The loss before the update, and the norm of its gradient before clipping."""

    loss: float
    grad_norm: float


class DivergenceError(WorkError):
    """The loss, its gradient or a weight is not finite. What a checkpoint holds is of before."""


def train_step(
    objective: Objective | DistributedDataParallel,
    text: Float[Tensor, "N P C"],
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, "B H W"],
    optimizer: Optimizer,
    schedule: ScheduleSpec,
    *,
    step: int,
    num_global: Callable[[float], float] = float,
) -> StepResult:
    """Forward, backward, clip, update. `images` are RGB in [0, 1]; `labels` 0 .. N-1 or IGNORE_INDEX.

    `images` are a batch of the schedule, or one process's share of it.

    `num_global` turns the |M| of these images into that of the batch. Where several processes each hold a part of the
    batch and their gradients are averaged (DDP), it is the sum over the processes divided by their number; the losses
    they return then average to the loss of the whole batch.

    Raises DivergenceError, with the weights untouched, when the loss or the gradient is not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    weights_of = _plain(objective).weights
    totals = [num_global(weight) or 1.0 for weight in weights_of(labels)]
    loss = torch.zeros((), device=images.device)
    # At most as many images at a time as the schedule allows one process.
    size = schedule.batch_size // schedule.num_microbatches
    parts = list(zip(images.split(size), labels.split(size), strict=True))
    for part_images, part_labels in parts:
        is_last = part_labels is parts[-1][1]
        with nullcontext() if is_last else _without_averaging(objective):
            terms = objective(part_images, part_labels, text)
            shares = [weight / total for weight, total in zip(weights_of(part_labels), totals, strict=True)]
            part = (terms * terms.new_tensor(shares).view_as(terms)).sum()
            part.backward()
        loss += part.detach()

    weights = [one for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
    grad_norm = nn.utils.get_total_norm([one.grad for one in weights])
    result = StepResult(loss.item(), grad_norm.item())
    if not (math.isfinite(result.loss) and math.isfinite(result.grad_norm)):
        raise DivergenceError(
            f"step {step}: the loss is {result.loss} and the norm of its gradient {result.grad_norm}; the weights "
            f"before it are kept. Try a lower schedule.learning_rate (now {schedule.learning_rate})."
        )
    if schedule.clip_norm is not None:
        nn.utils.clip_grads_with_norm_(weights, schedule.clip_norm, grad_norm)
    optimizer.step()
    return result


def _without_averaging(objective: Objective | DistributedDataParallel) -> AbstractContextManager:
    """Gradients of a part that is not the last stay with this process; DDP averages their sum once."""
    return objective.no_sync() if isinstance(objective, DistributedDataParallel) else nullcontext()


def _plain(objective: Objective | DistributedDataParallel) -> Objective:
    return objective.module if isinstance(objective, DistributedDataParallel) else objective
