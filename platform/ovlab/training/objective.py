"""What an update makes small: eq. 13 of the logits, or the loss that a method brings.

Axes: B images, N classes, P prompts, C joint CLIP width, H x W pixels.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from logoseg.losses import upsampled_masked_bce
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec


class PixelObjective(nn.Module):
    """Eq. 13 of the logits of `model`, which maps images and text to them: the mean over labelled pixels. Of a model
    with `training_logits` it is the sum over those."""

    def __init__(self, model: nn.Module, schedule: ScheduleSpec) -> None:
        super().__init__()
        self.model: Any = model
        self.schedule = schedule

    def forward(
        self, images: Float[Tensor, "B 3 H W"], labels: Int64[Tensor, "B H W"], text: Float[Tensor, "N P C"]
    ) -> Float[Tensor, ""]:
        with autocast(images.device, self.schedule.precision):
            has_several = hasattr(self.model, "training_logits")
            every = self.model.training_logits(images, text) if has_several else (self.model(images, text),)
        normalisation = self.schedule.loss_normalisation
        losses = [upsampled_masked_bce(logits.float(), labels, IGNORE_INDEX, normalisation) for logits in every]
        return torch.stack(losses).sum()

    @staticmethod
    def weights(labels: Int64[Tensor, "B H W"]) -> tuple[float, ...]:
        """What a part of a batch counts in it: its labelled pixels."""
        return (float((labels != IGNORE_INDEX).sum()),)


class OwnObjective(nn.Module):
    """The `training_loss` of a method: the mean over images, or several means over what its `loss_weights` count. Where
    its words are learned, `names` are encoded anew."""

    def __init__(self, model: nn.Module, schedule: ScheduleSpec, names: Sequence[str]) -> None:
        super().__init__()
        self.model: Any = model
        self.schedule = schedule
        self.names = [(name,) for name in names]

    def forward(
        self, images: Float[Tensor, "B 3 H W"], labels: Int64[Tensor, "B H W"], text: Float[Tensor, "N P C"]
    ) -> Float[Tensor, "*terms"]:
        with autocast(images.device, self.schedule.precision):
            if self.model.learns_text:
                text = self.model.encode_text(self.names, self.model.prompt_templates)
            return self.model.training_loss(images, labels, text).float()

    def weights(self, labels: Int64[Tensor, "B H W"]) -> tuple[float, ...]:
        """What a part of a batch counts in it, for each term of the loss: its images, or as the method says."""
        if hasattr(self.model, "loss_weights"):
            return self.model.loss_weights(labels)
        return (float(len(labels)),)


Objective = PixelObjective | OwnObjective


def objective_of(model: nn.Module, schedule: ScheduleSpec, names: Sequence[str]) -> Objective:
    """That of `model`, which is trained on classes of these names."""
    if hasattr(model, "training_loss"):
        return OwnObjective(model, schedule, names)
    return PixelObjective(model, schedule)


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Mixed precision on `device` as ScheduleSpec.precision names it.

    Raises InputError where the device lacks it: precision is identity, so there is no silent second choice.
    """
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError(f"schedule.precision: {torch.cuda.get_device_name(device)} has no bfloat16; use float32.")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
