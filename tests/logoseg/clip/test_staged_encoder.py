"""Towers of convolutions against open_clip's and timm's own forward."""

from types import SimpleNamespace

import pytest
import torch
from timm.models.fastvit import FastVit
from torch import nn
from torch.nn import functional as F

from logoseg.clip.staged_encoder import FastVitImageEncoder
from logoseg.config import ClipConfig
from logoseg.image_encoder import build_image_encoder
from small_clips import normalised, small_convnext


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


def small_fastvit() -> FastVit:
    torch.manual_seed(0)
    trunk = FastVit(layers=(1, 1, 1, 1), embed_dims=(8, 16, 32, 64), mlp_ratios=(2, 2, 2, 2), num_classes=12)
    for name, buffer in trunk.named_buffers():  # statistics of a training
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.1)
    return trunk.eval()


FASTVIT = ClipConfig(name="x", image_size=64, middle_layer=2, guidance_layers=(1, 0), tuning="all")


@torch.no_grad()
def test_fastvit_mean_over_positions_is_the_tower() -> None:
    trunk = small_fastvit()
    images = torch.rand(2, 3, 64, 96)
    expected = trunk(normalised(images))
    _, maps = trunk.forward_intermediates(normalised(images))

    encoder = FastVitImageEncoder(SimpleNamespace(trunk=trunk), FASTVIT)
    features = encoder(images)

    torch.testing.assert_close(encoder.to_joint(maps[-1]).mean(dim=(1, 2)), expected, rtol=0, atol=1e-5)
    dense = F.normalize(encoder.to_joint(maps[-1]), dim=-1).permute(0, 3, 1, 2)
    torch.testing.assert_close(features.dense, dense, rtol=0, atol=1e-5)
    for found, stage in zip(features.guidance, FASTVIT.guidance_layers, strict=True):
        torch.testing.assert_close(found, maps[stage], rtol=0, atol=1e-5)


def test_fastvit_in_a_training_leaves_its_statistics() -> None:
    encoder = FastVitImageEncoder(SimpleNamespace(trunk=small_fastvit()), FASTVIT)
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}

    nn.Sequential(encoder).train()[0](torch.rand(2, 3, 64, 64))

    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())
