"""AdamW with the paper's groups, and the warm-up cosine schedule (section 3.2)."""

import math
from collections.abc import Iterator

from torch import nn
from torch.optim import AdamW

from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec


def build_optimizer(model: nn.Module, schedule: ScheduleSpec) -> AdamW:
    """AdamW over the weights of `model` that require a gradient, in groups.

    Weights of `model.image_encoder`, if there is one, learn at `image_encoder_scale` times the rate of all others; a
    model that has `parameter_groups` says itself at what share of the rate which weights learn. In each part, norms,
    biases and weights marked `_no_weight_decay` do not decay. Every group keeps its peak rate under
    "base_learning_rate"; `set_learning_rate` derives the present one. Raises InputError when nothing learns.
    """
    groups = list(_groups(model, schedule))
    if not groups:
        raise InputError("the model has no weights that learn; set model.clip.tuning or use another model.")
    # One fused kernel an update, on a CPU too, where it is about 5 times as fast as one operation after the other.
    return AdamW(groups, lr=schedule.learning_rate, fused=True)


def learning_rate_factor(step: int, schedule: ScheduleSpec) -> float:
    """The share of the peak rate for update `step`, counted from 0.

    It rises linearly to 1 over `warmup_steps` updates and falls as half a cosine, to be 0 after the last update.
    """
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    progress = (step - schedule.warmup_steps) / (schedule.steps - schedule.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: AdamW, schedule: ScheduleSpec, step: int) -> float:
    """Give every group its rate for update `step`; returns that of the weights outside the image encoder."""
    factor = learning_rate_factor(step, schedule)
    for group in optimizer.param_groups:
        group["lr"] = group["base_learning_rate"] * factor
    return schedule.learning_rate * factor


def _groups(model: nn.Module, schedule: ScheduleSpec) -> Iterator[dict]:
    learning = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    for part, scale in _parts(model, schedule):
        for decays, weight_decay in ((True, schedule.weight_decay), (False, 0.0)):
            weights = [weight for name, weight in learning if id(weight) in part and _decays(name, weight) == decays]
            if weights:
                rate = schedule.learning_rate * scale
                yield {"params": weights, "base_learning_rate": rate, "weight_decay": weight_decay}


def _parts(model: nn.Module, schedule: ScheduleSpec) -> list[tuple[set[int], float]]:
    """Sets of weights, by their id, and what their rate is multiplied by."""
    own_groups = getattr(model, "parameter_groups", None)
    if own_groups is not None:
        return [({id(weight) for weight in weights}, scale) for _, weights, scale in own_groups()]
    image_encoder = getattr(model, "image_encoder", None)
    encoder = set() if image_encoder is None else {id(weight) for weight in image_encoder.parameters()}
    return [(encoder, schedule.image_encoder_scale), ({id(weight) for weight in model.parameters()} - encoder, 1.0)]


def _decays(name: str, weight: nn.Parameter) -> bool:
    # Norms, biases, temperatures and layer scales are vectors or numbers; a table of position biases is not.
    is_bias = name.endswith("bias")
    return weight.ndim > 1 and not is_bias and not getattr(weight, "_no_weight_decay", False)
