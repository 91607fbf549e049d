"""One optimiser update on one batch.

    L = sum over micro-batches m of |M_m| / |M| * L_m

Eq. 13 divides by the labelled pixels |M| of the whole batch. A micro-batch has divided by its own |M_m|, so it counts
by its share; then any number of micro-batches, or of processes, gives the gradient of the whole batch.

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

from logoseg.losses import upsampled_masked_bce
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.training import ScheduleSpec


class StepResult(NamedTuple):
    """The loss before the update, and the norm of its gradient before clipping."""

    loss: float
    grad_norm: float


class DivergenceError(WorkError):
    """The loss, its gradient or a weight is not finite. What a checkpoint holds is of before."""


def train_step(
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, "B H W"],
    optimizer: Optimizer,
    schedule: ScheduleSpec,
    *,
    step: int,
    num_global_pixels: Callable[[int], float] = float,
) -> StepResult:
    """Forward, backward, clip, update. `images` are RGB in [0, 1]; `labels` 0 .. N-1 or IGNORE_INDEX.

    `images` are a batch of the schedule, or one process's share of it.

    `num_global_pixels` turns the number of labelled pixels of this batch into the |M| above. Where several processes
    each hold a part of the batch and their gradients are averaged (DDP), it is the sum over the processes divided by
    their number; the losses they return then average to the loss of the whole batch.

    Raises DivergenceError, with the weights untouched, when the loss or the gradient is not finite.
    """
    optimizer.zero_grad(set_to_none=True)
    num_pixels = max(1.0, num_global_pixels(_num_labelled(labels)))
    loss = torch.zeros((), device=images.device)
    # At most as many images at a time as the schedule allows one process.
    size = schedule.batch_size // schedule.num_microbatches
    parts = list(zip(images.split(size), labels.split(size), strict=True))
    for part_images, part_labels in parts:
        is_last = part_labels is parts[-1][1]
        with nullcontext() if is_last else _without_averaging(model):
            with autocast(images.device, schedule.precision):
                logits = model(part_images, text)
            part = upsampled_masked_bce(logits.float(), part_labels, IGNORE_INDEX, schedule.loss_normalisation)
            part = part * (_num_labelled(part_labels) / num_pixels)
            part.backward()
        loss += part.detach()

    weights = [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
    grad_norm = nn.utils.get_total_norm([weight.grad for weight in weights])
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


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Mixed precision on `device` as ScheduleSpec.precision names it.

    Raises InputError where the device lacks it: precision is identity, so there is no silent second choice.
    """
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError(f"schedule.precision: {torch.cuda.get_device_name(device)} has no bfloat16; use float32.")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _without_averaging(model: nn.Module) -> AbstractContextManager:
    """Gradients of a part that is not the last stay with this process; DDP averages their sum once."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def _num_labelled(labels: Int64[Tensor, "B H W"]) -> int:
    return int((labels != IGNORE_INDEX).sum())
