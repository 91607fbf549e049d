"""timm's vision transformers against their own forward, on random weights of every kind that open_clip has."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from logoseg.clip.patch_grid import resize_positions
from logoseg.clip.timm_vit_encoder import TimmVitImageEncoder
from logoseg.config import ClipConfig
from small_clips import normalised

CONFIG = ClipConfig(name="x", image_size=32, middle_layer=1, guidance_layers=(0, 1), tuning="frozen", residual="token")
SMALL = {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 12}
EVA02 = SMALL | {"qkv_fused": False, "swiglu_mlp": True, "scale_mlp": True, "scale_attn_inner": True}
ROPE = {"use_rot_pos_emb": True, "ref_feat_shape": (4, 4)}

Tower = Callable[..., nn.Module]
# Those that read the image off the CLS token, and those that pool over tokens.
OF_CLS: dict[str, Tower] = {
    "CLIP": lambda **size: VisionTransformer(**SMALL, global_pool="token", pre_norm=True, **size),
    "MobileCLIP-B": lambda **size: VisionTransformer(**SMALL, global_pool="token", no_embed_class=True, **size),
    "EVA01": lambda **size: Eva(**SMALL, global_pool="token", init_values=0.5, **size),
    "EVA02": lambda **size: Eva(**EVA02, **ROPE, global_pool="token", **size),
    "EVA02-E": lambda **size: Eva(**SMALL, global_pool="token", use_post_norm=True, **size),
}
OF_TOKENS: dict[str, Tower] = {
    "SigLIP": lambda **size: VisionTransformer(
        **SMALL | {"num_classes": 0}, global_pool="map", class_token=False, **size
    ),
    "average": lambda **size: VisionTransformer(**SMALL, global_pool="avg", class_token=False, **size),
    "ViTamin": lambda **size: VisionTransformer(
        **SMALL, global_pool="avg", class_token=False, pos_embed="none", **size
    ),
    "PE-Core": lambda **size: Eva(
        **SMALL, **ROPE, global_pool="map", attn_type="rope", rope_grid_offset=1.0, class_token=False, **size
    ),
}
TOWERS = OF_CLS | OF_TOKENS


def random_tower(make: Tower, img_size: int = 32) -> nn.Module:
    torch.manual_seed(0)
    trunk = make(img_size=img_size).eval()
    for parameter in trunk.parameters():  # timm starts many of them at 0
        nn.init.normal_(parameter, std=0.3)
    return trunk


def encoder_of(trunk: nn.Module, config: ClipConfig = CONFIG) -> TimmVitImageEncoder:
    return TimmVitImageEncoder(SimpleNamespace(trunk=trunk, head=nn.Sequential()), config)


@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_blocks_before_the_last_equal_those_of_timm(name: str) -> None:
    trunk = random_tower(TOWERS[name])
    images = torch.rand(2, 3, 32, 32)
    expected = trunk.forward_intermediates(normalised(images), indices=[0, 1], intermediates_only=True)

    features = encoder_of(trunk)(images)

    torch.testing.assert_close(features.middle, expected[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features.guidance[0], expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OF_TOKENS)
@torch.no_grad()
def test_v_of_one_place_is_the_tower_that_pools_over_tokens(name: str) -> None:
    trunk = random_tower(OF_TOKENS[name], img_size=8)
    images = torch.rand(2, 3, 8, 8)
    expected = F.normalize(trunk(normalised(images)), dim=-1)

    dense = encoder_of(trunk)(images).dense

    torch.testing.assert_close(dense[:, :, 0, 0], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_average_over_places_is_the_tower_that_averages() -> None:
    trunk = random_tower(OF_TOKENS["average"])
    trunk.fc_norm = nn.Identity()  # a norm after the mean is not that of each token
    images = torch.rand(2, 3, 32, 32)
    expected = trunk(normalised(images))
    lengths = trunk.head(trunk.forward_features(normalised(images))).norm(dim=-1)

    dense = encoder_of(trunk)(images).dense.flatten(2)

    torch.testing.assert_close((dense * lengths[:, None]).mean(dim=2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", OF_CLS)
@torch.no_grad()
def test_value_path_is_the_last_block_in_which_every_token_attends_to_itself(name: str) -> None:
    trunk = random_tower(OF_CLS[name])
    images = torch.rand(2, 3, 32, 32)
    itself = torch.eye(17, dtype=torch.bool)
    block = trunk.blocks[-1]
    whole, block.forward = block.forward, lambda x, **given: whole(x, **given | {"attn_mask": itself})
    tokens = trunk.head(trunk.fc_norm(trunk.forward_features(normalised(images))))[:, 1:]
    block.forward = whole

    dense = encoder_of(trunk)(images).dense

    expected = F.normalize(tokens, dim=-1).transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(dense, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_value_path_is_added_to_what_residual_says() -> None:
    trunk = random_tower(OF_CLS["CLIP"])
    images = torch.rand(1, 3, 32, 32)
    found: list[torch.Tensor] = []
    trunk.blocks[-2].register_forward_hook(lambda _, inputs, output: found.append(output))

    for residual in ("token", "cls", "none"):
        dense = encoder_of(trunk, replace(CONFIG, residual=residual))(images).dense[0]
        (x,), block = found[-1], trunk.blocks[-1]
        for place in range(16):
            value = block.attn.qkv(block.norm1(x[place + 1]))[32:]
            token = block.attn.proj(value)
            token = token + {"token": x[place + 1], "cls": x[0], "none": torch.zeros(16)}[residual]
            token = trunk.head(trunk.norm(token + block.mlp(block.norm2(token))))
            expected = F.normalize(token, dim=-1)
            torch.testing.assert_close(dense[:, place // 4, place % 4], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_another_size_equals_a_tower_of_that_size_with_the_resized_grid(name: str) -> None:
    trunk = random_tower(TOWERS[name])
    native = encoder_of(trunk)
    state = trunk.state_dict()
    if "pos_embed" in state:
        num_prefix = 0 if trunk.no_embed_class else trunk.num_prefix_tokens
        state["pos_embed"] = resize_positions(state["pos_embed"][0], 6, 6, num_prefix)[None]
    other = TOWERS[name](img_size=48).eval()
    other.load_state_dict(state)
    images = torch.rand(1, 3, 48, 48)

    torch.testing.assert_close(native(images).dense, encoder_of(other)(images).dense, rtol=0, atol=1e-5)


def test_stem_guidance_is_refused() -> None:
    config = replace(CONFIG, guidance_layers="stem", stem="convolutions")

    with pytest.raises(ValueError, match="a stem of convolutions only"):
        encoder_of(random_tower(OF_TOKENS["SigLIP"]), config)
