"""Each idea against loops in float64."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from logoseg.network import REJECTED
from rivals.cost_volume import (
    EPSILON,
    ClassAttention,
    GuidedUpsampling,
    among_all,
    bce_with_ignored_as_zeros,
    chosen_classes,
    cosine_volume,
)

IGNORE = 255


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(*shape: int, dim: int, seed: int = 0) -> Tensor:
    return F.normalize(random(*shape, seed=seed), dim=dim)


def test_cosine_volume_is_the_cosine_of_every_token_with_every_prompt() -> None:
    dense, text = unit(2, 5, 3, 4, dim=1), unit(2, 3, 2, 5, dim=-1, seed=1)
    volume = cosine_volume(dense, text)

    assert volume.shape == (2, 3, 2, 3, 4)
    for b, n, p, y, x in torch.cartesian_prod(*map(torch.arange, volume.shape)).tolist():
        cosine = sum(float(dense[b, c, y, x]) * float(text[b, n, p, c]) for c in range(5))
        assert float(volume[b, n, p, y, x]) == pytest.approx(cosine, abs=1e-12)


def phi(value: float) -> float:
    return value + 1 if value > 0 else math.exp(value)


def class_attention_by_loops(attention: ClassAttention, x: Tensor, guidance: Tensor) -> Tensor:
    """One position of one image, x: N x D, guidance: N x G, every class of the padding made."""
    missing = max(0, attention.padded_classes - len(x))
    if missing:
        x = torch.cat([x, attention.padding.expand(missing, -1)])
        guidance = torch.cat([guidance, attention.padding_guidance.expand(missing, -1)])
    normed = attention.norm_1(x)
    query = attention.query(torch.cat([normed, guidance], dim=1))
    key = attention.key(torch.cat([normed, guidance], dim=1))
    value = attention.value(normed)
    width = x.shape[1] // attention.num_heads
    out = torch.zeros_like(x)
    for n in range(len(x)):
        for head in range(attention.num_heads):
            part = range(head * width, (head + 1) * width)
            weights = [sum(phi(float(query[n, c])) * phi(float(key[m, c])) for c in part) for m in range(len(x))]
            for c in part:
                total = sum(weight * float(value[m, c]) for m, weight in enumerate(weights))
                out[n, c] = total / (sum(weights) + EPSILON)
    x = x + out
    return (x + attention.mlp(attention.norm_2(x)))[: len(x) - missing]


@pytest.mark.parametrize("padded_classes", [0, 7])
def test_class_attention_equals_loops_over_all_classes_and_their_padding(padded_classes: int) -> None:
    torch.manual_seed(0)
    attention = ClassAttention(dim=6, guidance_dim=4, num_heads=2, training_pooling=2, padded_classes=padded_classes)
    attention = attention.double().eval()
    if padded_classes:
        attention.padding.data, attention.padding_guidance.data = random(6, seed=5), random(4, seed=6)
    x, guidance = random(2, 3, 6, 2, 4), random(2, 3, 4, seed=1)
    with torch.no_grad():
        made = attention(x, guidance)
        for image in range(2):
            for y in range(2):
                for column in range(4):
                    at_place = x[image, :, :, y, column]
                    expected = at_place + class_attention_by_loops(attention, at_place, guidance[image])
                    assert torch.allclose(made[image, :, :, y, column], expected, atol=1e-10)


def test_class_attention_pools_the_map_in_training_only() -> None:
    torch.manual_seed(0)
    attention = ClassAttention(dim=6, guidance_dim=4, num_heads=2, training_pooling=2).double()
    x, guidance = random(1, 3, 6, 4, 4), random(1, 3, 4, seed=1)
    with torch.no_grad():
        pooled = F.avg_pool2d(x[0], 2)[None]
        attended = attention.eval()(pooled, guidance) - pooled
        expected = x[0] + F.interpolate(attended[0], size=(4, 4), mode="bilinear", align_corners=True)
        assert torch.allclose(attention.train()(x, guidance)[0], expected)


def test_guided_upsampling_equals_the_convolution_of_the_concatenation() -> None:
    torch.manual_seed(0)
    stage = GuidedUpsampling(in_dim=8, out_dim=16, guidance_dim=3, volume_dim=2).double()
    x, guidance, volume = random(2, 3, 8, 4, 4), random(2, 3, 8, 8, seed=1), random(2, 3, 2, 8, 8, seed=2)
    with torch.no_grad():
        made = stage(x, guidance, volume)
        for image in range(2):
            for n in range(3):
                joined = torch.cat([stage.up(x[image, n]), guidance[image], volume[image, n]])[None]
                merged = F.relu(stage.merge_norm(stage.merge(joined)))
                expected = F.relu(stage.refine_norm(stage.refine(merged)))[0]
                assert torch.allclose(made[image, n], expected)


def test_an_image_keeps_the_classes_with_the_highest_cosine_among_those_of_the_mask() -> None:
    dense = torch.zeros(2, 4, 1, 2)
    dense[0, 0, 0, 0] = dense[0, 1, 0, 1] = dense[1, 3] = 1.0
    text = torch.eye(4)[:, None]
    mask = torch.tensor([True, False, True, True])

    assert chosen_classes(dense, text, None, None).tolist() == [[0, 1, 2, 3]] * 2
    assert chosen_classes(dense, text, mask, None).tolist() == [[0, 2, 3]] * 2
    assert sorted(chosen_classes(dense, text, None, 2)[0].tolist()) == [0, 1]
    assert chosen_classes(dense, text, mask, 1).tolist() == [[0], [3]]


def test_classes_that_were_not_decoded_are_rejected() -> None:
    logits = random(2, 2, 1, 1)
    whole = among_all(logits, torch.tensor([[2, 0], [1, 3]]), 4)

    assert whole[0, :, 0, 0].tolist() == [float(logits[0, 1]), REJECTED, float(logits[0, 0]), REJECTED]
    assert whole[1, :, 0, 0].tolist() == [REJECTED, float(logits[1, 0]), REJECTED, float(logits[1, 1])]


def test_loss_counts_ignored_pixels_as_of_no_class() -> None:
    logits = random(2, 3, 2, 2)
    labels = torch.tensor([[[0, 2], [IGNORE, 1]], [[IGNORE, IGNORE], [0, 0]]])
    total = 0.0
    for b, n, y, x in torch.cartesian_prod(*map(torch.arange, logits.shape)).tolist():
        score = 1 / (1 + math.exp(-float(logits[b, n, y, x])))
        total -= math.log(score if int(labels[b, y, x]) == n else 1 - score)

    assert float(bce_with_ignored_as_zeros(logits, labels, IGNORE)) == pytest.approx(total / 24)
