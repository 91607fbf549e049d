"""The parts of SAN against loops in float64."""

import math

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from logoseg.clip.towers import build_clip
from logoseg.model_error import ModelError
from rivals.configurations import sed_shapes_convnext_s
from rivals.side_adapter import ClipTokens, MaskDecoder, SplitClip, attention_mask, resized_grid


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_visual(pool_type: str = "tok") -> open_clip.transformer.VisionTransformer:
    torch.manual_seed(0)
    visual = open_clip.transformer.VisionTransformer(
        image_size=16, patch_size=4, width=8, layers=3, heads=2, mlp_ratio=2.0, output_dim=6, pool_type=pool_type
    )
    for weight in visual.parameters():
        weight.data = weight.data + 0.3 * torch.randn(weight.shape)
    return visual.double().eval()


def recognised_by_loops(clip: SplitClip, tokens: Tensor, start: Tensor, bias: Tensor) -> Tensor:
    """One query of one image: it sees itself and, by its bias (heads x patches), the patches; they do not see it.

    tokens: CLS first, at the split.
    """
    query = start
    for block in clip.blocks[clip.split :]:
        weight, in_bias = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
        seen = torch.cat([query[None], tokens[1:]])
        projected = [F.linear(block.ln_1(seen), w, b) for w, b in zip(weight, in_bias, strict=True)]
        head_dim = seen.shape[1] // block.attn.num_heads
        out = torch.zeros_like(query)
        for head in range(block.attn.num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            scores = [
                float(projected[0][0, part] @ projected[1][other, part]) / math.sqrt(head_dim)
                + (0.0 if other == 0 else float(bias[head, other - 1]))
                for other in range(len(seen))
            ]
            total = sum(math.exp(score) for score in scores)
            for other, score in enumerate(scores):
                out[part] += math.exp(score) / total * projected[2][other, part]
        query = query + block.attn.out_proj(out)
        query = query + block.mlp(block.ln_2(query))
        tokens = block(tokens[None])[0]
    embedding = clip.ln_post(query) @ clip.proj
    return embedding / embedding.norm()


@pytest.mark.parametrize("pool_type", ["tok", "avg"])
def test_recognition_equals_loops_over_what_each_query_sees(pool_type: str) -> None:
    clip = SplitClip(small_visual(pool_type), split=1)
    bias = 2 * random(2, 2, 3, 4, 4, seed=1)
    with torch.no_grad():
        tokens = clip(random(2, 3, 16, 16))
        made = clip.recognise(tokens, bias)
        for image in range(2):
            at_split = tokens.layers[-1][image]
            for query in range(3):
                of_query = bias[image, :, query].flatten(1)
                start = at_split[0]
                if pool_type == "avg":
                    powers = [math.exp(float(of_query[:, patch].sum()) / len(of_query)) for patch in range(16)]
                    start = sum(power * at_split[1 + patch] for patch, power in enumerate(powers)) / sum(powers)
                expected = recognised_by_loops(clip, at_split, start, of_query)
                assert torch.allclose(made[image, query], expected, atol=1e-10)


def test_a_query_that_looks_at_one_place_alone_starts_as_the_token_there_where_clip_reads_the_mean() -> None:
    clip = SplitClip(small_visual("avg"), split=1)
    with torch.no_grad():
        tokens = clip(random(1, 3, 16, 16))
        bias = torch.full((1, 2, 1, 4, 4), -100.0, dtype=torch.float64)
        bias[..., 2, 1] = 0.0
        at_split = tokens.layers[-1][0]
        expected = recognised_by_loops(clip, at_split, at_split[1 + 2 * 4 + 1], bias[0, :, 0].flatten(1))

        assert torch.allclose(clip.recognise(tokens, bias)[0, 0], expected, atol=1e-10)


def test_bias_is_the_highest_inside_a_token_of_clip() -> None:
    clip = SplitClip(small_visual(), split=1)
    with torch.no_grad():
        tokens = clip(random(1, 3, 16, 16))
        fine = random(1, 2, 3, 8, 8, seed=1)
        coarse = torch.stack([fine[..., y::2, x::2] for y in range(2) for x in range(2)]).amax(dim=0)

        assert torch.allclose(clip.recognise(tokens, fine), clip.recognise(tokens, coarse))


def test_the_first_part_of_clip_is_clips_own() -> None:
    visual = small_visual()
    images = random(2, 3, 16, 16)
    with torch.no_grad():
        expected = visual(images)
        clip = SplitClip(visual, split=1)
        x = clip(images).layers[-1]
        for block in clip.blocks[1:]:
            x = block(x)

        assert [tuple(layer.shape) for layer in clip(images).layers] == [(2, 17, 8)] * 2
        assert torch.allclose(clip.ln_post(x[:, 0]) @ clip.proj, expected)


def test_who_sees_whom() -> None:
    bias = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    no = -100.0

    assert attention_mask(bias)[0, 0].tolist() == [
        [0.0, no, no, 1.0, 2.0],
        [no, 0.0, no, 3.0, 4.0],
        [no, no, 0.0, 0.0, 0.0],
        [no, no, 0.0, 0.0, 0.0],
        [no, no, 0.0, 0.0, 0.0],
    ]


def test_masks_and_biases_are_products_of_queries_and_tokens() -> None:
    torch.manual_seed(0)
    decoder = MaskDecoder(dim=6, mask_dim=5, num_heads=2).double()
    queries, tokens = random(1, 3, 6), random(1, 2, 4, 6, seed=1)
    with torch.no_grad():
        made = decoder(queries, tokens)
        for q, y, x in torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(4)).tolist():
            query, by_head = decoder.query_mlp(queries[0, q]), decoder.bias_mlp(tokens[0, y, x]).view(2, 5)
            assert made.masks[0, q, y, x].item() == pytest.approx((query @ decoder.mask_mlp(tokens[0, y, x])).item())
            for head in range(2):
                product = (query @ by_head[head]).item()
                scaled = product * decoder.scale_bias.weight.item() + decoder.scale_bias.bias.item()
                assert made.bias[0, head, q, y, x].item() == pytest.approx(scaled)


def test_a_grid_of_the_same_size_is_itself_and_a_constant_one_stays_constant() -> None:
    grid = random(6, 3)

    assert resized_grid(grid, (2, 3), (2, 3)) is grid
    assert torch.allclose(resized_grid(torch.full((6, 3), 2.0), (2, 3), (5, 4)), torch.full((20, 3), 2.0))


@pytest.mark.parametrize(("split", "message"), [(3, "it has 3"), (-1, "after block -1")])
def test_a_split_behind_the_last_block_is_refused(split: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        SplitClip(small_visual(), split=split)


def test_a_tower_without_cls_is_refused() -> None:
    with pytest.raises(ModelError, match="open_clip's own ViT"):
        SplitClip(build_clip(sed_shapes_convnext_s().clip).visual, split=1)


def test_clip_tokens_hold_a_layer_before_the_first_block() -> None:
    clip = SplitClip(small_visual(), split=0)
    with torch.no_grad():
        tokens = clip(random(1, 3, 16, 24))

    assert isinstance(tokens, ClipTokens)
    assert (len(tokens.layers), tokens.layers[0].shape, tokens.grid) == (1, (1, 25, 8), (4, 6))
