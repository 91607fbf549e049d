"""A network small enough for tests of a second."""

from dataclasses import replace

import pytest
import torch

from logoseg.config import ModelConfig
from logoseg.network import LoGoSeg
from logoseg.presets import tiny


@pytest.fixture(scope="session")
def micro_config() -> ModelConfig:
    """The tiny preset at 96 px (6 x 6 tokens), as narrow as it can be."""
    base = tiny()
    return replace(
        base,
        clip=replace(base.clip, image_size=96),
        guidance_dim=16,
        attention_heads=2,
        stripe_width=2,
        region_grid=3,
        fusion_depth=1,
        state_dim=4,
        decoder_dims=(16, 16),
    )


@pytest.fixture
def micro_network(micro_config: ModelConfig) -> LoGoSeg:
    torch.manual_seed(0)
    return LoGoSeg(micro_config).eval()
