"""The named sizes, one function each, and one dictionary of them all."""

from collections.abc import Callable

from logoseg.config import ClipConfig, ModelConfig


def vit_b16() -> ModelConfig:
    """CLIP ViT-B/16 at 384 px, 24 x 24 tokens (Tables 1-5)."""
    # The only one of the paper whose positional grid is not that of its size. The others have no need of the tag, and
    # their identities stand.
    clip = ClipConfig(
        name="ViT-B-16-quickgelu", pretrained="openai", image_size=384, middle_layer=7, guidance_layers=(3, 7)
    )
    return ModelConfig(clip=clip)


def vit_l14() -> ModelConfig:
    """CLIP ViT-L/14 at 336 px, 24 x 24 tokens (Table 1)."""
    clip = ClipConfig(name="ViT-L-14-336-quickgelu", image_size=336, middle_layer=15, guidance_layers=(7, 15))
    return ModelConfig(clip=clip)


def convnext_b() -> ModelConfig:
    """CLIP ConvNeXt-B at 768 px, 24 x 24 positions of the last stage (Table 1)."""
    clip = ClipConfig(name="convnext_base_w_320", image_size=768, middle_layer=2, guidance_layers=(2, 1), tuning="all")
    return ModelConfig(clip=clip)


def convnext_l() -> ModelConfig:
    """CLIP ConvNeXt-L at 768 px, 24 x 24 positions of the last stage (Table 1)."""
    clip = ClipConfig(name="convnext_large_d_320", image_size=768, middle_layer=2, guidance_layers=(2, 1), tuning="all")
    return ModelConfig(clip=clip)


def tiny() -> ModelConfig:
    """A small ViT with a stem of convolutions, to be trained from scratch on a few hundred photographs.

    Before training its tokens and words are not aligned, so eq. 1 would be noise that all but erases the words:
    prior_weight is 0.
    """
    clip = ClipConfig(
        name="logoseg-tiny",
        image_size=384,
        middle_layer=2,
        guidance_layers="stem",
        tuning="all",
        residual="token",
        stem="convolutions",
    )
    return ModelConfig(clip=clip, decoder="pixel_embedding", guidance_dim=64, prior_weight=0.0, typical_cosine=0.0)


def photo_lite0() -> ModelConfig:
    """The ImageNet-MiniLM bridge at 384 px, 12 x 12 positions: real words on real photographs, no CLIP.

    Half the paper's tokens a side, so half its regions.
    """
    clip = ClipConfig(
        name="photo-lite0", image_size=384, middle_layer=3, guidance_layers=(3, 2), tuning="frozen", residual="none"
    )
    return ModelConfig(clip=clip, decoder="pixel_embedding", guidance_dim=64, region_grid=3)


def shapes_vit_s() -> ModelConfig:
    """The stand-in for ViT-B/16 in the shapes suite: 96 px, 12 x 12 tokens."""
    return _shapes_vit("shapes-vit-s", middle_layer=2)


def shapes_vit_l() -> ModelConfig:
    """The stand-in for ViT-L/14 in the shapes suite."""
    return _shapes_vit("shapes-vit-l", middle_layer=3)


def shapes_convnext_s() -> ModelConfig:
    """The stand-in for ConvNeXt-B in the shapes suite."""
    return _shapes_convnext("shapes-convnext-s")


def shapes_convnext_l() -> ModelConfig:
    """The stand-in for ConvNeXt-L in the shapes suite."""
    return _shapes_convnext("shapes-convnext-l")


def _shapes_vit(name: str, *, middle_layer: int) -> ModelConfig:
    clip = ClipConfig(
        name=name,
        image_size=96,
        middle_layer=middle_layer,
        guidance_layers="stem",
        residual="token",
        stem="convolutions",
    )
    return _shapes(clip)


def _shapes_convnext(name: str) -> ModelConfig:
    return _shapes(ClipConfig(name=name, image_size=96, middle_layer=2, guidance_layers=(0, -1), tuning="all"))


def _shapes(clip: ClipConfig) -> ModelConfig:
    # A quarter of the paper's token grid, so half its regions a side: 3 x 3 stands for 6 x 6.
    return ModelConfig(
        clip=clip,
        decoder="pixel_embedding",
        guidance_dim=64,
        region_grid=3,
        decoder_dims=(64, 32),
        typical_cosine=0.35,
    )


PRESETS: dict[str, Callable[[], ModelConfig]] = {
    "vit-b16": vit_b16,
    "vit-l14": vit_l14,
    "convnext-b": convnext_b,
    "convnext-l": convnext_l,
    "tiny": tiny,
    "photo-lite0": photo_lite0,
    "shapes-vit-s": shapes_vit_s,
    "shapes-vit-l": shapes_vit_l,
    "shapes-convnext-s": shapes_convnext_s,
    "shapes-convnext-l": shapes_convnext_l,
}
