"""The named sizes, one function each, and one dictionary of them all."""

from collections.abc import Callable

from logoseg.config import ClipConfig, ModelConfig


def vit_b16() -> ModelConfig:
    """CLIP ViT-B/16 at 384 px, 24 x 24 tokens (Tables 1-5)."""
    clip = ClipConfig(name="ViT-B-16-quickgelu", image_size=384, middle_layer=7, guidance_layers=(3, 7))
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
    return ModelConfig(clip=clip, decoder="pixel_embedding", guidance_dim=64, prior_weight=0.0)


PRESETS: dict[str, Callable[[], ModelConfig]] = {
    "vit-b16": vit_b16,
    "vit-l14": vit_l14,
    "convnext-b": convnext_b,
    "convnext-l": convnext_l,
    "tiny": tiny,
}
