"""Dense features against open_clip's own tower and against the formula of the last block."""

from dataclasses import replace

import open_clip
import pytest
import torch
from torch.nn import functional as F

from logoseg.config import ClipConfig
from logoseg.image_encoder import VitImageEncoder, build_image_encoder, resize_positions

VIT = ClipConfig(
    name="small-vit", image_size=32, middle_layer=1, guidance_layers=(0, 1), residual="token", tuning="all"
)
VISION = {"image_size": 32, "patch_size": 8, "width": 16, "head_width": 8, "layers": 3}
TEXT = {"context_length": 16, "width": 16, "heads": 2, "layers": 1}


def small_vit() -> torch.nn.Module:
    torch.manual_seed(0)
    return open_clip.CLIP(12, VISION, TEXT)


def small_convnext(proj: str) -> torch.nn.Module:
    torch.manual_seed(0)
    vision = {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": proj, "image_size": 64}
    return open_clip.CLIP(12, vision, TEXT)


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(3, 1, 1)
    return (images - mean) / torch.tensor(open_clip.OPENAI_DATASET_STD).view(3, 1, 1)


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


def test_resize_positions_keeps_cls_and_constant_grids() -> None:
    positions = torch.cat([torch.full((1, 4), 9.0), torch.full((16, 4), 2.0)])

    resized = resize_positions(positions, 6, 3)

    torch.testing.assert_close(resized, torch.cat([torch.full((1, 4), 9.0), torch.full((18, 4), 2.0)]))


def test_resize_positions_equals_torch_bicubic() -> None:
    positions = torch.randn(1 + 9, 5)
    expected = F.interpolate(positions[1:].reshape(1, 3, 3, 5).permute(0, 3, 1, 2), size=(5, 5), mode="bicubic")

    torch.testing.assert_close(resize_positions(positions, 5, 5)[1:], expected.permute(0, 2, 3, 1).reshape(25, 5))


def trained_names(encoder: VitImageEncoder) -> set[str]:
    before = {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.1, weight_decay=0.1)
    features = encoder(torch.rand(2, 3, 32, 32))
    (features.dense.square() * torch.randn_like(features.dense)).sum().backward()
    assert all(parameter.grad is not None for parameter in learning)
    optimizer.step()
    return {name for name, parameter in encoder.named_parameters() if not torch.equal(parameter, before[name])}


def test_tuning_query_value_leaves_everything_else_bit_identical() -> None:
    encoder = build_image_encoder(small_vit(), replace(VIT, tuning="query_value"))

    queries = {f"blocks.{i}.attn.query_weight" for i in (0, 1)}
    assert trained_names(encoder) == queries | {f"blocks.{i}.attn.value_weight" for i in (0, 1, 2)}


def test_tuning_all_trains_all_but_the_unused_query_and_key_of_the_last_block() -> None:
    encoder = build_image_encoder(small_vit(), VIT)

    unused = {f"blocks.2.attn.{part}_{kind}" for part in ("query", "key") for kind in ("weight", "bias")}
    # a key bias shifts all scores of a query alike, so the softmax gives it no gradient beyond rounding
    key_biases = {f"blocks.{i}.attn.key_bias" for i in (0, 1)}
    assert trained_names(encoder) | key_biases == {name for name, _ in encoder.named_parameters()} - unused


def test_tuning_frozen_has_nothing_to_learn() -> None:
    encoder = build_image_encoder(small_vit(), replace(VIT, tuning="frozen"))

    assert not any(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("proj", ["linear", "mlp"])
@torch.no_grad()
def test_convnext_mean_of_one_position_equals_open_clip(proj: str) -> None:
    clip = small_convnext(proj).eval()
    config = ClipConfig(name="x", image_size=32, middle_layer=2, guidance_layers=(2, 1), tuning="all")
    images = torch.rand(2, 3, 32, 32)  # one position: pooling and the dense head must agree
    expected = F.normalize(clip.encode_image(normalised(images)), dim=-1)

    features = build_image_encoder(clip, config).eval()(images)

    torch.testing.assert_close(features.dense[:, :, 0, 0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_convnext_maps_have_the_strides_of_their_stages() -> None:
    config = ClipConfig(name="x", image_size=64, middle_layer=2, guidance_layers=(2, 1), tuning="all")

    features = build_image_encoder(small_convnext("linear"), config)(torch.rand(1, 3, 64, 96))

    assert features.dense.shape[2:] == features.middle.shape[2:] == (2, 3)
    assert features.guidance[0].shape[2:] == (4, 6)
    assert features.guidance[1].shape[2:] == (8, 12)


def test_convnext_query_value_tuning_is_refused() -> None:
    config = ClipConfig(name="x", image_size=64, middle_layer=2, guidance_layers=(2, 1), tuning="query_value")

    with pytest.raises(ValueError, match="defined for a ViT only"):
        build_image_encoder(small_convnext("linear"), config)
