from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec
from ovlab.training.objective import PixelObjective, autocast
from ovlab.training.optimizer import build_optimizer
from ovlab.training.step import DivergenceError, train_step

SCHEDULE = ScheduleSpec(steps=10, batch_size=4, learning_rate=0.1, clip_norm=None)
TEXT = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(7))


class Pixels(nn.Module):
    """A logit a class from each 2 x 2 patch of pixels. No image changes another's logits."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embed = nn.Conv2d(3, 5, kernel_size=2, stride=2)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        pixels = self.embed(images).tanh()
        return (text.mean(dim=1) @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Four images with very different shares of ignored pixels; the third has no other."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(4, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 3, (4, 8, 8), generator=generator)
    labels[0, :7], labels[2], labels[3, :3] = IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX
    return images, labels


def update(schedule: ScheduleSpec, images: Tensor, labels: Tensor) -> tuple[nn.Module, float, float]:
    model = Pixels()
    result = train_step(
        PixelObjective(model, schedule), TEXT, images, labels, build_optimizer(model, schedule), schedule, step=1
    )
    return model, *result


def test_step_gives_the_loss_and_gradient_of_eq_13(batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    model, loss, grad_norm = update(SCHEDULE, images, labels)

    reference = Pixels().double()
    logits = F.interpolate(reference(images.double(), TEXT.double()), size=(8, 8), mode="bilinear")
    known = labels != IGNORE_INDEX
    targets = F.one_hot(labels.where(known, 0), 3).movedim(-1, 1).double()
    terms = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)
    expected = terms[known].sum() / known.sum()
    expected.backward()

    assert loss == pytest.approx(expected.item(), rel=1e-5)
    gradients = [weight.grad.flatten() for weight in reference.parameters()]
    assert grad_norm == pytest.approx(torch.cat(gradients).norm().item(), rel=1e-5)
    for weight, other in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad.float(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("normalisation", ["pixels", "pixels_and_classes"])
@pytest.mark.parametrize("num_microbatches", [2, 4])
def test_step_in_microbatches_equals_one_of_the_whole_batch(
    batch: tuple[Tensor, Tensor], num_microbatches: int, normalisation: str
) -> None:
    whole = replace(SCHEDULE, loss_normalisation=normalisation)
    one, one_loss, one_norm = update(whole, *batch)
    many, many_loss, many_norm = update(replace(whole, num_microbatches=num_microbatches), *batch)

    assert many_loss == pytest.approx(one_loss, rel=1e-6)
    assert many_norm == pytest.approx(one_norm, rel=1e-6)
    for a, b in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-7)


def test_step_in_two_processes_averages_to_the_whole_batch(batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    whole, whole_loss, _ = update(SCHEDULE, images, labels)
    num_labelled = int((labels != IGNORE_INDEX).sum())

    parts = []
    for part in (slice(0, 1), slice(1, 4)):
        model = Pixels()
        optimizer = build_optimizer(model, SCHEDULE)
        result = train_step(
            PixelObjective(model, SCHEDULE),
            TEXT,
            images[part],
            labels[part],
            optimizer,
            SCHEDULE,
            step=1,
            num_global=lambda own: num_labelled / 2,
        )
        parts.append((model, result.loss))

    assert sum(loss for _, loss in parts) / 2 == pytest.approx(whole_loss, rel=1e-6)
    for own, first, second in zip(whole.parameters(), *(model.parameters() for model, _ in parts), strict=True):
        torch.testing.assert_close(own.grad, (first.grad + second.grad) / 2, rtol=1e-5, atol=1e-7)


def test_step_of_a_batch_without_labels_has_no_loss_and_no_gradient(batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    model, loss, grad_norm = update(SCHEDULE, images, torch.full_like(labels, IGNORE_INDEX))

    assert (loss, grad_norm) == (0.0, 0.0)
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_step_with_a_long_gradient_is_clipped_to_the_norm(batch: tuple[Tensor, Tensor]) -> None:
    free, _, free_norm = update(SCHEDULE, *batch)
    clipped, _, reported = update(replace(SCHEDULE, clip_norm=free_norm / 3), *batch)

    assert reported == pytest.approx(free_norm, rel=1e-6)
    for a, b in zip(free.parameters(), clipped.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad / 3, rtol=1e-4, atol=1e-7)


def test_step_with_a_short_gradient_is_not_stretched(batch: tuple[Tensor, Tensor]) -> None:
    free, _, free_norm = update(SCHEDULE, *batch)
    clipped, _, _ = update(replace(SCHEDULE, clip_norm=free_norm * 3), *batch)

    assert all(torch.equal(a.grad, b.grad) for a, b in zip(free.parameters(), clipped.parameters(), strict=True))


def test_step_with_a_loss_that_is_not_finite_names_the_step_and_keeps_the_weights(
    batch: tuple[Tensor, Tensor],
) -> None:
    images, labels = batch
    images[1, 0, 0, 0] = torch.nan
    model = Pixels()

    with pytest.raises(DivergenceError, match=r"step 12: the loss is nan.*learning_rate"):
        train_step(
            PixelObjective(model, SCHEDULE), TEXT, images, labels, build_optimizer(model, SCHEDULE), SCHEDULE, step=12
        )

    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), Pixels().parameters(), strict=True))


def test_step_in_bfloat16_is_near_float32_and_keeps_float32_weights(batch: tuple[Tensor, Tensor]) -> None:
    _, exact, _ = update(SCHEDULE, *batch)
    model, loss, _ = update(replace(SCHEDULE, precision="bfloat16"), *batch)

    assert loss != exact
    assert loss == pytest.approx(exact, rel=1e-2)
    assert all(weight.dtype == weight.grad.dtype == torch.float32 for weight in model.parameters())


def test_autocast_on_a_gpu_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")

    with pytest.raises(InputError, match="Old GPU has no bfloat16"):
        autocast(torch.device("cuda"), "bfloat16")
