"""Eq. 3-7 against loops in float64."""

import math

import pytest
import torch

from logoseg.alignment import (
    RegionAlignment,
    class_prototypes,
    guidance_weight,
    prior_scaled_similarity,
    region_index,
    region_pool,
    region_similarity,
    region_weights,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def test_region_pool_grid_that_divides_is_the_mean_of_each_square() -> None:
    image = random(2, 3, 6, 4)

    regions = region_pool(image, 2)

    for k, (i, j) in enumerate([(0, 0), (0, 2), (3, 0), (3, 2)]):
        for b in range(2):
            for c in range(3):
                tokens = [float(image[b, c, y, x]) for y in range(i, i + 3) for x in range(j, j + 2)]
                assert float(regions[b, k, c]) == pytest.approx(sum(tokens) / 6)


@pytest.mark.parametrize(("height", "width", "grid"), [(24, 24, 6), (18, 24, 6), (7, 5, 4), (12, 12, 8), (3, 3, 3)])
def test_region_index_any_grid_covers_all_tokens_without_overlap(height: int, width: int, grid: int) -> None:
    index = region_index(height, width, grid)

    sizes = torch.bincount(index.flatten(), minlength=grid * grid)
    assert sizes.sum() == height * width
    assert sizes.min() >= 1
    assert sizes.min() >= (height // grid) * (width // grid)
    assert sizes.max() <= -(-height // grid) * -(-width // grid)


def test_region_index_more_regions_than_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="region_grid is 6, but the image has only 4 x 8 tokens"):
        region_index(4, 8, 6)


def test_region_similarity_random_features_equals_eq_3() -> None:
    regions, text = random(2, 4, 5), random(2, 3, 5, seed=1)

    similarity = region_similarity(regions, text)

    for b in range(2):
        for k in range(4):
            for n in range(3):
                v, t = regions[b, k], text[b, n]
                expected = dot(v, t) / math.sqrt(dot(v, v) * dot(t, t))
                assert float(similarity[b, k, n]) == pytest.approx(expected)


def test_region_similarity_positive_prior_cancels() -> None:
    regions, text = random(2, 4, 5), random(2, 3, 5, seed=1)
    prior = torch.rand(2, 3, 1, dtype=torch.float64) + 0.01

    torch.testing.assert_close(region_similarity(regions, prior * text), region_similarity(regions, text))


def test_prior_scaled_similarity_is_the_prior_times_the_cosine() -> None:
    regions, text = random(2, 4, 5), random(3, 2, 5, seed=1)
    prior = torch.rand(2, 3, dtype=torch.float64)
    center = text.mean(dim=1).expand(2, -1, -1)

    scaled = prior_scaled_similarity(regions, prior.unsqueeze(-1) * center, text)

    torch.testing.assert_close(scaled, prior.unsqueeze(1) * region_similarity(regions, center))


def test_region_weights_equal_eq_4_and_sum_to_one_over_regions() -> None:
    similarity = random(2, 4, 3)

    weights = region_weights(similarity, 2.5)

    for b in range(2):
        for n in range(3):
            exponentials = [math.exp(2.5 * float(similarity[b, k, n])) for k in range(4)]
            for k in range(4):
                assert float(weights[b, k, n]) == pytest.approx(exponentials[k] / sum(exponentials))


def test_class_prototypes_equal_eq_5() -> None:
    weights, regions = random(2, 4, 3), random(2, 4, 5, seed=1)

    prototypes = class_prototypes(weights, regions)

    for b in range(2):
        for n in range(3):
            for c in range(5):
                expected = sum(float(weights[b, k, n]) * float(regions[b, k, c]) for k in range(4))
                assert float(prototypes[b, n, c]) == pytest.approx(expected)


def test_guidance_weight_equals_alpha_of_eq_7() -> None:
    image, text = random(2, 4, 5), random(2, 4, 5, seed=1)

    alpha = guidance_weight(image.float(), text.float())

    for b in range(2):
        for k in range(4):
            a = math.exp(math.sqrt(dot(image[b, k], image[b, k])))
            t = math.exp(math.sqrt(dot(text[b, k], text[b, k])))
            assert float(alpha[b, k]) == pytest.approx(a / (a + t), rel=1e-5)


def test_guidance_weight_huge_norms_stay_finite() -> None:
    alpha = guidance_weight(torch.full((1, 1, 4), 1e4), torch.full((1, 1, 4), 1e4))

    assert float(alpha) == pytest.approx(0.5)


@pytest.fixture
def alignment() -> RegionAlignment:
    torch.manual_seed(0)
    return RegionAlignment(joint_dim=5, guidance_dim=4, grid=2, prior_in_similarity=False).double()


def test_region_alignment_equals_eq_3_to_7_by_loops(alignment: RegionAlignment) -> None:
    image, text = random(1, 5, 4, 4), random(3, 2, 5, seed=1)
    weighted = text.mean(dim=1)[None] * torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)[None, :, None]

    guidance = alignment(image, weighted, text)

    tau = beta = 1 / 0.07
    members = [[(y, x) for y in range(i, i + 2) for x in range(j, j + 2)] for i in (0, 2) for j in (0, 2)]
    v = [sum(image[0, :, y, x] for y, x in region) / 4 for region in members]
    A = [[dot(v[k], weighted[0, n]) / (v[k].norm() * weighted[0, n].norm()) for n in range(3)] for k in range(4)]
    g = []
    for n in range(3):
        w = [math.exp(tau * A[k][n]) for k in range(4)]
        m = sum(w[k] / sum(w) * v[k] for k in range(4))
        g.append(alignment.class_projection(torch.cat([m, weighted[0, n]])))
    for k, region in enumerate(members):
        e = [math.exp(beta * A[k][n]) for n in range(3)]
        text_guidance = alignment.text_norm(alignment.text_projection(sum(e[n] / sum(e) * g[n] for n in range(3))))
        tokens = [image[0, :, y, x] for y, x in region]
        scores = [math.exp(float(alignment.token_score(token))) for token in tokens]
        pooled = sum(s / sum(scores) * token for s, token in zip(scores, tokens, strict=True))
        image_guidance = alignment.image_norm(alignment.image_projection(pooled))
        alpha = 1 / (1 + math.exp(float(text_guidance.norm() - image_guidance.norm())))
        expected = alpha * image_guidance + (1 - alpha) * text_guidance
        for y, x in region:
            torch.testing.assert_close(guidance[0, :, y, x], expected, rtol=1e-6, atol=1e-8)


def test_region_alignment_padded_classes_have_no_influence(alignment: RegionAlignment) -> None:
    image, text = random(2, 5, 4, 4), random(3, 1, 5, seed=1)
    weighted = text.mean(dim=1).expand(2, -1, -1)
    padding = random(2, 1, 5, seed=2)
    mask = torch.tensor([True, True, True, False, False])
    padded_text = torch.cat([text, padding])

    padded = alignment(image, torch.cat([weighted, padding.mean(dim=1).expand(2, -1, -1)], dim=1), padded_text, mask)

    torch.testing.assert_close(padded, alignment(image, weighted, text))


def test_region_alignment_reordered_classes_give_the_same_guidance(alignment: RegionAlignment) -> None:
    image, text = random(2, 5, 4, 4), random(3, 1, 5, seed=1)
    weighted = text.mean(dim=1).expand(2, -1, -1)
    order = [2, 0, 1]

    reordered = alignment(image, weighted[:, order], text[order])

    torch.testing.assert_close(reordered, alignment(image, weighted, text))


def test_region_alignment_gradients_are_right(alignment: RegionAlignment) -> None:
    text = random(3, 1, 5, seed=1)
    weighted = text.mean(dim=1)[None].clone().requires_grad_()

    assert torch.autograd.gradcheck(
        lambda image, weighted: alignment(image, weighted, text).sum(dim=(2, 3)),
        (random(1, 5, 2, 2).requires_grad_(), weighted),
    )
