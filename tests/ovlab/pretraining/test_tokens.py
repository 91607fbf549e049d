"""The two readings of a tower's tokens, against the tower itself and against logoseg's own dense features."""

import pytest
import torch
from torch.nn import functional as F

from logoseg.clip.towers import build_clip
from logoseg.image_encoder import build_image_encoder
from logoseg.image_features import ImageNormalisation
from logoseg.presets import shapes_convnext_s, shapes_vit_s
from ovlab.pretraining.tokens import read_tokens


def test_pooled_tokens_of_a_vit_average_to_the_embedding_of_the_image() -> None:
    visual = build_clip(shapes_vit_s().clip).visual.eval()
    images = torch.rand(2, 3, 96, 96)

    torch.testing.assert_close(read_tokens(visual, images).pooled.mean(dim=(2, 3)), visual(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", [shapes_vit_s, shapes_convnext_s])
def test_dense_tokens_are_those_that_logoseg_reads(preset) -> None:
    clip = build_clip(preset().clip).eval()
    images = torch.rand(2, 3, 96, 96)

    dense = read_tokens(clip.visual, ImageNormalisation()(images)).dense

    expected = build_image_encoder(clip, preset().clip)(images).dense  # takes the tower apart, so it comes last
    torch.testing.assert_close(F.normalize(dense, dim=1), expected, atol=1e-5, rtol=0)


def test_readings_of_a_vit_differ_and_those_of_a_convnext_do_not() -> None:
    images = torch.rand(1, 3, 96, 96)
    vit, convnext = (
        read_tokens(build_clip(preset().clip).visual.eval(), images) for preset in (shapes_vit_s, shapes_convnext_s)
    )

    assert not torch.allclose(vit.pooled, vit.dense, atol=1e-3)
    assert torch.equal(convnext.pooled, convnext.dense)
