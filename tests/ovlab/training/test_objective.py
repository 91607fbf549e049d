"""What an update makes small where the method brings a loss of its own."""

from collections.abc import Sequence
from dataclasses import replace

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


class TwoTerms(Learner):
    """The mean over images of its weight times their first label, and over labels other than 0 of its word times
    them."""

    def training_loss(self, images: Tensor, labels: Tensor, text: Tensor) -> Tensor:
        first = self.weight * labels[:, 0, 0].float().mean()
        counted = labels[labels != 0]
        return torch.stack([first, self.word * counted.sum() / max(1, len(counted))])

    def loss_weights(self, labels: Tensor) -> tuple[float, float]:
        return float(len(labels)), float((labels != 0).sum())


@pytest.mark.parametrize("num_microbatches", [1, 2, 4])
def test_terms_are_means_of_the_whole_batch_however_it_is_divided(num_microbatches: int) -> None:
    labels = torch.zeros(4, 8, 8, dtype=torch.long)
    labels[0, 0, :5], labels[3, 0, 0], labels[3, 7] = 1, 2, 3
    schedule = replace(SCHEDULE, num_microbatches=num_microbatches)
    model = TwoTerms(learns_text=False)
    objective = objective_of(model, schedule, ("road", "sky"))

    result = train_step(objective, TEXT, IMAGES, labels, build_optimizer(model, schedule), schedule, step=1)

    first, second = (1 + 0 + 0 + 2) / 4, (5 * 1 + 2 + 8 * 3) / 14
    assert result.loss == pytest.approx(1.0 * first + 2.0 * second)
    assert (model.weight.grad.item(), model.word.grad.item()) == pytest.approx((first, second))


def test_terms_of_a_process_are_weighed_against_the_mean_over_processes() -> None:
    """Two processes, of two images each; their losses, and their gradients, average to those of the batch."""
    labels = torch.zeros(4, 8, 8, dtype=torch.long)
    labels[0, 0, :5], labels[3, 0, 0] = 1, 2
    losses = []
    for part in (slice(0, 2), slice(2, 4)):
        model = TwoTerms(learns_text=False)
        objective = objective_of(model, SCHEDULE, ("road", "sky"))
        means = iter([2.0, 3.0])  # images and labels of a process, on average
        optimizer = build_optimizer(model, SCHEDULE)
        losses.append(
            train_step(
                objective,
                TEXT,
                IMAGES[part],
                labels[part],
                optimizer,
                SCHEDULE,
                step=1,
                num_global=lambda _, means=means: next(means),
            ).loss
        )

    assert sum(losses) / 2 == pytest.approx(1.0 * (1 + 2) / 4 + 2.0 * (5 * 1 + 2) / 6)
