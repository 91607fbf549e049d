"""What a tower makes of an image, by its name and by running it."""

import pytest
import torch

from logoseg.clip.towers import build_clip
from logoseg.config import SlidingWindow, WholeImage
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS
from logoseg.token_grid import require_regions, require_views, token_stride

SMALL = ("tiny", "shapes-vit-s", "shapes-vit-l", "shapes-convnext-s", "shapes-convnext-l")


@pytest.mark.parametrize("preset", SMALL)
def test_token_stride_is_that_of_the_tower(preset: str) -> None:
    clip = PRESETS[preset]().clip

    with torch.no_grad():
        dense = build_image_encoder(build_clip(clip), clip)(torch.zeros(1, 3, 96, 160)).dense

    stride = token_stride(clip.name)
    assert stride is not None
    assert dense.shape[2:] == (96 // stride, 160 // stride)


def test_token_stride_of_released_towers_gives_the_grid_of_the_paper() -> None:
    for preset in ("vit-b16", "vit-l14", "convnext-b", "convnext-l"):
        clip = PRESETS[preset]().clip
        assert clip.image_size // (token_stride(clip.name) or 0) == 24


@pytest.mark.parametrize(
    ("name", "patch"),
    [("ViT-B-16-SigLIP-384", 16), ("EVA02-L-14-336", 14), ("PE-Core-bigG-14-448", 14), ("MobileCLIP2-L-14", 14)],
)
def test_token_stride_of_other_vits_is_their_patch(name: str, patch: int) -> None:
    assert token_stride(name) == patch


def test_token_stride_of_an_unknown_tower_refuses_nothing() -> None:
    model = PRESETS["tiny"]()

    assert token_stride("none") is None
    require_regions(model, (96, 96), "it")
    with pytest.raises(ModelError, match=r"^it is 95 x 200 pixels, 5 x 12 tokens of logoseg-tiny; region_grid needs 6"):
        require_regions(model, (95, 200), "it")


@pytest.mark.parametrize(
    ("inference", "words"),
    [
        (WholeImage(size=384, resize="keep_aspect"), "384 x 384 pixels; both sides must be multiples of 14"),
        (SlidingWindow(input_size=384), "384 x 384 pixels; both sides must be multiples of 14"),
        (SlidingWindow(input_size=56), "4 x 4 tokens of ViT-L-14-336-quickgelu; region_grid needs 6"),
    ],
)
def test_views_that_the_tower_cannot_take_are_refused(inference: WholeImage | SlidingWindow, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        require_views(PRESETS["vit-l14"](), inference)
    require_views(PRESETS["vit-l14"](), SlidingWindow(input_size=336))
