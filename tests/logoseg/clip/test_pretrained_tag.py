"""What belongs to released weights by their tag."""

import open_clip
import pytest
import torch

from logoseg.clip.pretrained_tag import UNTAGGED, pretrained_tag
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig
from logoseg.image_features import ImageNormalisation
from logoseg.model_error import ModelError


def config(name: str, pretrained: str | None) -> ClipConfig:
    return ClipConfig(name=name, pretrained=pretrained, image_size=384, middle_layer=1, guidance_layers=(0, 1))


@pytest.mark.parametrize(
    ("name", "tag", "mean", "std"),
    [
        ("ViT-B-16", "openai", 0.48145466, 0.26862954),
        ("ViT-B-16-SigLIP-384", "webli", 0.5, 0.5),
        ("ViT-L-14-CLIPA", "datacomp1b", 0.485, 0.229),
        ("MobileCLIP-S1", "datacompdr", 0.0, 1.0),
        ("convnext_base_w_320", "laion_aesthetic_s13b_b82k", 0.48145466, 0.26862954),
    ],
)
def test_normalisation_is_that_of_the_tag(name: str, tag: str, mean: float, std: float) -> None:
    normalise = ImageNormalisation(pretrained_tag(config(name, tag)))

    red = normalise(torch.full((1, 3, 1, 1), 0.75))[0, 0].item()

    assert red == pytest.approx((0.75 - mean) / std)


def test_weights_without_a_tag_are_normalised_as_those_of_the_package() -> None:
    assert pretrained_tag(config("shapes-vit-s", None)) == UNTAGGED
    assert UNTAGGED.mean == open_clip.OPENAI_DATASET_MEAN


def test_unknown_tag_lists_those_of_the_model() -> None:
    with pytest.raises(ModelError, match=r"'opnai'; ViT-L-14-336 has openai\."):
        build_clip(config("ViT-L-14-336", "opnai"))
    with pytest.raises(ModelError, match=r"shapes-vit-s has no tags\."):
        build_clip(config("shapes-vit-s", "openai"))


@pytest.mark.parametrize(
    ("name", "tag", "activation"),
    [
        ("ViT-B-16", "openai", open_clip.transformer.QuickGELU),
        ("ViT-B-16", "laion2b_s34b_b88k", torch.nn.GELU),
        ("ViT-B-16-quickgelu", "dfn2b", open_clip.transformer.QuickGELU),
        ("ViT-B-16-quickgelu", None, open_clip.transformer.QuickGELU),
    ],
)
def test_activation_of_both_towers_is_that_of_the_tag(name: str, tag: str | None, activation: type) -> None:
    with torch.device("meta"):
        clip = build_clip(config(name, tag))

    assert type(clip.visual.transformer.resblocks[0].mlp.gelu) is activation
    assert type(clip.transformer.resblocks[0].mlp.gelu) is activation


def test_positional_grid_is_the_trained_one_where_there_is_a_tag() -> None:
    with torch.device("meta"):
        tagged, untagged = (build_clip(config("ViT-B-16-quickgelu", tag)).visual for tag in ("openai", None))

    assert len(tagged.positional_embedding) == 1 + 14 * 14
    assert len(untagged.positional_embedding) == 1 + 24 * 24
