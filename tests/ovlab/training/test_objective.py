"""What an update makes small where the method brings a loss of its own."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from logoseg.losses import upsampled_masked_bce
from ovlab.specs.training import ScheduleSpec
from ovlab.training.objective import OwnObjective, PixelObjective, objective_of
from ovlab.training.optimizer import build_optimizer
from ovlab.training.step import train_step

SCHEDULE = ScheduleSpec(steps=10, batch_size=4, learning_rate=0.5, weight_decay=0.0, clip_norm=None)
IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.zeros(4, 8, 8, dtype=torch.long)
TEXT = torch.ones(2, 1, 1)


class Learner(nn.Module):
    """Its loss is (weight * words - mean of an image)^2, the mean over images; its words are a weight, too."""

    prompt_templates = ("{}",)

    def __init__(self, learns_text: bool) -> None:
        super().__init__()
        self.learns_text = learns_text
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.word = nn.Parameter(torch.tensor(2.0))
        self.asked: list[Sequence[Sequence[str]]] = []

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Tensor:
        self.asked.append(names)
        return self.word.expand(len(names), 1, 1)

    def training_loss(self, images: Tensor, labels: Tensor, text: Tensor) -> Tensor:
        return (self.weight * text.mean() - images.mean(dim=(1, 2, 3))).square().mean()

    def parameter_groups(self) -> list[tuple[str, list[nn.Parameter], float]]:
        return [("head", [self.weight], 1.0), ("words", [self.word], 0.01)]


def test_objective_of_a_model_without_a_loss_is_eq_13() -> None:
    assert isinstance(objective_of(nn.Conv2d(3, 2, 1), SCHEDULE, ("a", "b")), PixelObjective)


class Guessing(nn.Conv2d):
    """Logits of an image, and those of a coarse guess, half of them."""

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return super().forward(images)

    def training_logits(self, images: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        logits = self(images, text)
        return logits[:, :, ::2, ::2] / 2, logits


def test_objective_of_several_logits_is_the_sum_of_their_eq_13() -> None:
    torch.manual_seed(0)
    model = Guessing(3, 2, 1)

    found = objective_of(model, SCHEDULE, ("a", "b"))(IMAGES, LABELS, TEXT)

    every = model.training_logits(IMAGES, TEXT)
    assert len(every) == 2
    torch.testing.assert_close(found, sum(upsampled_masked_bce(logits, LABELS, 65535) for logits in every))


@pytest.mark.parametrize("learns_text", [False, True])
def test_own_loss_is_stepped_on_and_words_are_encoded_anew_where_they_are_learned(learns_text: bool) -> None:
    model = Learner(learns_text)
    objective = objective_of(model, SCHEDULE, ("road", "sky"))
    assert isinstance(objective, OwnObjective)

    result = train_step(objective, TEXT, IMAGES, LABELS, build_optimizer(model, SCHEDULE), SCHEDULE, step=1)

    text = 2.0 if learns_text else 1.0
    assert result.loss == pytest.approx((text - IMAGES.mean(dim=(1, 2, 3))).square().mean().item(), rel=1e-6)
    assert model.asked == ([[("road",), ("sky",)]] if learns_text else [])
    assert (model.word.grad is not None) == learns_text


def test_own_loss_in_micro_batches_has_the_gradient_of_the_whole_batch() -> None:
    gradients = []
    for num_microbatches in (1, 2, 4):
        schedule = ScheduleSpec(steps=10, batch_size=4, clip_norm=None, num_microbatches=num_microbatches)
        model = Learner(learns_text=True)
        optimizer = build_optimizer(model, schedule)
        train_step(objective_of(model, schedule, ("a",)), TEXT, IMAGES, LABELS, optimizer, schedule, step=1)
        gradients.append((model.weight.grad.item(), model.word.grad.item()))

    assert gradients[1] == pytest.approx(gradients[0], rel=1e-6)
    assert gradients[2] == pytest.approx(gradients[0], rel=1e-6)


def test_own_groups_have_the_rates_that_the_method_says() -> None:
    optimizer = build_optimizer(Learner(learns_text=True), SCHEDULE)

    assert [group["base_learning_rate"] for group in optimizer.param_groups] == [0.5, 0.005]
