"""open_clip's own vision transformer against its own forward, and against the formula of the last block."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from logoseg.config import ClipConfig
from logoseg.image_encoder import build_image_encoder
from small_clips import normalised, small_vit

VIT = ClipConfig(
    name="small-vit", image_size=32, middle_layer=1, guidance_layers=(0, 1), residual="token", tuning="all"
)


@torch.no_grad()
def test_vit_blocks_before_the_last_equal_open_clip() -> None:
    clip = small_vit()
    images = torch.rand(2, 3, 32, 32)
    expected = clip.visual.forward_intermediates(normalised(images), indices=[0, 1], intermediates_only=True)

    features = build_image_encoder(clip, VIT)(images)

    torch.testing.assert_close(features.guidance[0], expected["image_intermediates"][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features.middle, expected["image_intermediates"][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("residual", ["cls", "token", "none"])
@torch.no_grad()
def test_vit_last_block_is_the_value_path_with_its_residual(residual: str) -> None:
    clip = small_vit()
    images = torch.rand(1, 3, 32, 32)
    visual = clip.visual
    block = visual.transformer.resblocks[-1]
    weight, bias = block.attn.in_proj_weight.clone(), block.attn.in_proj_bias.clone()
    x = visual._embeds(normalised(images))
    for earlier in visual.transformer.resblocks[:-1]:
        x = earlier(x)

    dense = build_image_encoder(clip, replace(VIT, residual=residual))(images).dense

    for t in range(16):
        value = weight[32:] @ block.ln_1(x[0, t + 1]) + bias[32:]
        token = block.attn.out_proj(value)
        token = token + {"cls": x[0, 0], "token": x[0, t + 1], "none": torch.zeros(16)}[residual]
        token = token + block.mlp(block.ln_2(token))
        expected = F.normalize(visual.ln_post(token) @ visual.proj, dim=-1)
        torch.testing.assert_close(dense[0, :, t // 4, t % 4], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_vit_rectangular_image_has_rectangular_maps() -> None:
    features = build_image_encoder(small_vit(), VIT)(torch.rand(2, 3, 24, 48))

    assert features.dense.shape == (2, 12, 3, 6)
    assert features.middle.shape == (2, 16, 3, 6)


def test_vit_image_that_is_no_multiple_of_the_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="30 x 32 pixels"):
        build_image_encoder(small_vit(), VIT)(torch.rand(1, 3, 30, 32))


@pytest.mark.parametrize("pool", ["tok", "avg"])
@pytest.mark.parametrize("extras", [{}, {"ls_init_value": 0.3}, {"no_ln_pre": True, "final_ln_after_pool": False}])
@torch.no_grad()
def test_vit_with_its_last_block_whole_is_the_tower(pool: str, extras: dict[str, object]) -> None:
    clip = small_vit(pool_type=pool, **extras)
    images = torch.rand(2, 3, 32, 32)
    expected = clip.visual(normalised(images))

    encoder = build_image_encoder(clip, VIT)
    x = encoder.before_last_block(images)
    block = encoder.blocks[-1]
    x = x + block.ls_1(block.attn(block.ln_1(x)))
    x = x + block.ls_2(block.mlp(block.ln_2(x)))
    tokens = encoder.to_joint(x)

    pooled = tokens[:, 0] if pool == "tok" else tokens[:, 1:].mean(dim=1)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_vit_keeps_its_grid_and_resizes_it_once_for_each_input() -> None:
    clip = small_vit()
    grid = clip.visual.positional_embedding.detach().clone()
    encoder = build_image_encoder(clip, VIT)

    large = encoder(torch.rand(1, 3, 64, 64)).dense
    encoder(torch.rand(1, 3, 24, 48))

    assert large.shape == (1, 12, 8, 8)
    assert torch.equal(encoder.positional_embedding, grid)
