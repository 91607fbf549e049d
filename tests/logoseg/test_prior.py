"""Eq. 1-2 against loops in float64."""

import math

import pytest
import torch

from logoseg.prior import MIN_PRIOR, ObjectPrior, object_prior, weighted_text


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def text() -> torch.Tensor:
    return torch.randn(6, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def prior_by_loops(image: torch.Tensor, text: torch.Tensor) -> list[list[float]]:
    """Eq. 1, one scalar at a time."""
    batch, channels, height, width = image.shape
    prior = []
    for b in range(batch):
        row = []
        for n in range(len(text)):
            center = [sum(float(t) for t in text[n, :, c]) / text.shape[1] for c in range(channels)]
            center_norm = math.sqrt(sum(x * x for x in center))
            total = 0.0
            for i in range(height):
                for j in range(width):
                    token = [float(image[b, c, i, j]) for c in range(channels)]
                    norm = math.sqrt(sum(x * x for x in token))
                    total += sum(x * y for x, y in zip(token, center, strict=True)) / (norm * center_norm)
            row.append(total / (height * width))
        prior.append(row)
    return prior


def test_object_prior_random_features_equals_eq_1(image: torch.Tensor, text: torch.Tensor) -> None:
    expected = torch.tensor(prior_by_loops(image, text), dtype=torch.float64)

    torch.testing.assert_close(object_prior(image, text), expected)


def test_object_prior_image_that_is_the_text_is_one(text: torch.Tensor) -> None:
    image = text[3].mean(dim=0)[None, :, None, None].expand(1, -1, 4, 4) * 7.0

    assert object_prior(image, text)[0, 3] == pytest.approx(1.0)


@pytest.mark.parametrize("prior_weight", [0.0, 0.25, 1.0])
def test_weighted_text_any_lambda_equals_eq_2(text: torch.Tensor, prior_weight: float) -> None:
    prior = torch.tensor([[0.3, 0.1, -0.2, 0.5, 0.0, 1.0]], dtype=torch.float64)

    result = weighted_text(text, prior, prior_weight)

    for n in range(6):
        weight = 1 - prior_weight + prior_weight * max(float(prior[0, n]), MIN_PRIOR)
        for c in range(5):
            expected = sum(weight * float(text[n, p, c]) for p in range(2)) / 2
            assert float(result[0, n, c]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_weighted_text_no_prior_is_the_mean_prompt(text: torch.Tensor) -> None:
    prior = torch.rand(3, 6, dtype=torch.float64)

    torch.testing.assert_close(weighted_text(text, prior, 0.0), text.mean(dim=1).expand(3, -1, -1))


def test_prior_gradients_are_right(image: torch.Tensor, text: torch.Tensor) -> None:
    def function(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return weighted_text(text, object_prior(image, text), torch.sigmoid(weight))

    weight = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (image.requires_grad_(), weight))


def test_object_prior_adaptive_lambda_starts_at_half_and_learns(image: torch.Tensor, text: torch.Tensor) -> None:
    module = ObjectPrior("adaptive").double()

    module(image, text).square().sum().backward()

    assert module.prior_weight.item() == pytest.approx(0.5)
    assert module.prior_weight_logit.grad.abs() > 0


def test_object_prior_fixed_lambda_has_no_parameters() -> None:
    assert list(ObjectPrior(0.5).parameters()) == []
