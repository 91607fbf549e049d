import math

import pytest
import torch
from torch import nn

from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec
from ovlab.training.optimizer import build_optimizer, learning_rate_factor, set_learning_rate

SCHEDULE = ScheduleSpec(steps=10, batch_size=1, learning_rate=1.0, image_encoder_scale=0.25, weight_decay=0.5)


class Parts(nn.Module):
    """One weight of each kind, in the image encoder and outside."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.Linear(4, 4))
        self.image_encoder[2].requires_grad_(False)
        self.linear = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.temperature = nn.Parameter(torch.tensor(14.0))
        self.position_bias = nn.Parameter(torch.zeros(2, 7))
        self.state = nn.Parameter(torch.ones(4, 2))
        self.state._no_weight_decay = True


def settings(model: nn.Module, schedule: ScheduleSpec) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) of every weight that the optimiser holds, by name."""
    optimizer = build_optimizer(model, schedule)
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {
        names[id(weight)]: (group["base_learning_rate"], group["weight_decay"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }


def test_groups_of_all_kinds_of_weights_have_the_papers_rates_and_decays() -> None:
    assert settings(Parts(), SCHEDULE) == {
        "image_encoder.0.weight": (0.25, 0.5),
        "image_encoder.0.bias": (0.25, 0.0),
        "image_encoder.1.weight": (0.25, 0.0),
        "image_encoder.1.bias": (0.25, 0.0),
        "linear.weight": (1.0, 0.5),
        "linear.bias": (1.0, 0.0),
        "norm.weight": (1.0, 0.0),
        "norm.bias": (1.0, 0.0),
        "temperature": (1.0, 0.0),
        "position_bias": (1.0, 0.0),
        "state": (1.0, 0.0),
    }


def test_optimizer_without_gradient_decays_only_what_decays_and_leaves_frozen_weights() -> None:
    model = Parts()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = build_optimizer(model, SCHEDULE)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)

    set_learning_rate(optimizer, SCHEDULE, 0)
    optimizer.step()

    factor = {"image_encoder.0.weight": 1 - 0.25 * 0.5, "linear.weight": 1 - 0.5}
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), before[name] * factor.get(name, 1.0), rtol=1e-6, atol=0)
        if name not in factor:
            assert torch.equal(weight, before[name])


def test_optimizer_of_a_frozen_model_is_refused() -> None:
    with pytest.raises(InputError, match="no weights that learn"):
        build_optimizer(nn.Linear(2, 2).requires_grad_(False), SCHEDULE)


def test_learning_rate_without_warmup_is_half_a_cosine() -> None:
    schedule = ScheduleSpec(steps=6, batch_size=1)

    factors = [learning_rate_factor(step, schedule) for step in range(7)]

    # cos of 0, 30, 60, 90, 120, 150 and 180 degrees
    cosines = [1, math.sqrt(3) / 2, 0.5, 0, -0.5, -math.sqrt(3) / 2, -1]
    assert factors == pytest.approx([(1 + cosine) / 2 for cosine in cosines])


def test_learning_rate_with_warmup_rises_linearly_then_falls() -> None:
    schedule = ScheduleSpec(steps=6, batch_size=1, warmup_steps=4)

    factors = [learning_rate_factor(step, schedule) for step in range(7)]

    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0])


def test_learning_rate_of_the_image_encoder_stays_at_its_share() -> None:
    optimizer = build_optimizer(Parts(), SCHEDULE)

    rate = set_learning_rate(optimizer, SCHEDULE, 5)

    assert rate == pytest.approx(0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {rate, 0.25 * rate}
