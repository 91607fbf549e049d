"""Which encoder fits which tower, and which of its weights learn."""

from dataclasses import replace

import open_clip
import pytest
import torch

from logoseg.clip.towers import build_clip
from logoseg.clip.vit_encoder import VitImageEncoder
from logoseg.config import ClipConfig
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from small_clips import small_convnext, small_vit

VIT = ClipConfig(
    name="small-vit", image_size=32, middle_layer=1, guidance_layers=(0, 1), residual="token", tuning="all"
)
# One of each kind of tower, of text tower and of refusal.
KINDS = (
    "ViT-B-16-quickgelu",
    "ViT-M-16-alt",
    "ViT-L-14-CLIPA",
    "convnext_base_w_320",
    "convnext_large_d_320",
    "EVA01-g-14",
    "EVA02-B-16",
    "EVA02-E-14",
    "PE-Core-T-16-384",
    "ViT-B-16-SigLIP-384",
    "ViT-B-16-SigLIP2",
    "ViTamin-S",
    "vit_medium_patch16_gap_256",
    "MobileCLIP-B",
    "MobileCLIP2-S0",
    "MobileCLIP2-S3",
    "RN50",
    "coca_ViT-B-32",
    "swin_base_patch4_window7_224",
    "vit_relpos_medium_patch16_cls_224",
    "xlm-roberta-base-ViT-B-32",
)
REFUSED = ("RN", "coca_", "swin_", "vit_relpos_", "mt5-", "nllb-", "roberta-", "xlm-")


def require_dense_tokens_or_one_line(name: str) -> None:
    """On the meta device, where a model of billions of weights costs nothing."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    config = ClipConfig(
        name=name,
        pretrained=tags[0] if tags else None,
        image_size=224,
        middle_layer=1,
        guidance_layers=(1, 0),
        tuning="frozen",
    )
    with torch.device("meta"), torch.no_grad():
        if name.startswith(REFUSED):
            with pytest.raises(ModelError, match=rf"^{name} is not supported \(.*Supported image towers: [^\n]*\.$"):
                build_image_encoder(build_clip(config), config)
            return
        encoder = build_image_encoder(build_clip(config), config)
        patch = getattr(encoder, "patch_size", None)
        side = 3 * (patch or 64)
        features = encoder(torch.empty(2, 3, side, 2 * side))
    grid = (3, 6) if patch else tuple(features.dense.shape[2:])  # a ConvNeXt has 32 pixels a token, some MobileCLIPs 64
    assert features.dense.shape == (2, encoder.joint_dim, *grid)
    assert encoder.joint_dim == open_clip.get_model_config(name)["embed_dim"]
    assert grid[1] == 2 * grid[0]
    assert features.middle.shape == (2, encoder.middle_dim, *grid)
    assert tuple(one.shape[1] for one in features.guidance) == encoder.guidance_dims


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_tower_gives_dense_tokens_or_one_line(name: str) -> None:
    require_dense_tokens_or_one_line(name)


@pytest.mark.long
@pytest.mark.parametrize("share", range(6))
def test_every_model_of_open_clip_gives_dense_tokens_or_one_line(share: int) -> None:
    names = [name for name in open_clip.list_models() if not name.startswith(("logoseg", "shapes"))]

    assert len(names) > 140
    for name in names[share::6]:
        require_dense_tokens_or_one_line(name)


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


def test_convnext_query_value_tuning_is_refused() -> None:
    config = ClipConfig(name="x", image_size=64, middle_layer=2, guidance_layers=(2, 1), tuning="query_value")

    with pytest.raises(ValueError, match="defined for a ViT only"):
        build_image_encoder(small_convnext("linear"), config)
