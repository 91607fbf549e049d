"""What each rival is: plain values without torch, in the paper's sizes and in those of the shapes suite.

Values of CAT-Seg (Cho et al., CVPR 2024), SED (Xie et al., CVPR 2024) and SAN (Xu et al., TPAMI 2023) are those of
their released configurations. The stand-ins of CAT-Seg and SED have a quarter of every width: with the 255 classes of
shapes-coco an update of four images takes a core about ten seconds, twice that at half the widths. SAN's, whose cost
does not grow with the classes, have about half.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from logoseg import presets
from logoseg.clip.bridge_facts import BRIDGES
from logoseg.config import ClipConfig, ModelConfig, require_range
from logoseg.model_error import ModelError
from logoseg.prompts import IMAGENET, PAPER, VILD

# Those whose every word the text towers of the shapes suite know.
SHAPES_TEMPLATES = (*PAPER, "a photo of a {}.", "a photo of the {}.", "There is a {} in the scene")
# A GroupNorm of the decoders has groups of this many channels.
GROUP_CHANNELS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class CatSegConfig:
    """CAT-Seg: a cosine volume, aggregated over positions and over classes."""

    clip: ClipConfig
    prompt_templates: tuple[str, ...] = PAPER
    # Of the volume, of the guidance by image and by text.
    dim: int = 128
    num_layers: int = 2
    num_heads: int = 4
    # Side in tokens of the windows; every second block shifts them by half.
    window: int = 12
    # The attention over classes sees the map reduced by this factor, in training only.
    training_pooling: int = 2
    # So many classes at most, and, by learned padding, at least.
    num_classes: int = 256
    # CLIP's two guidance maps: by how much they are up-sampled to be 2 and 4 times the token grid, and to how many
    # channels.
    guidance_upsampling: tuple[int, int] = (2, 4)
    guidance_channels: tuple[int, int] = (256, 128)
    # The same, as they enter the decoder.
    guidance_dims: tuple[int, int] = (32, 16)
    decoder_dims: tuple[int, int] = (64, 32)

    def __post_init__(self) -> None:
        _require_positive(self, "dim", "num_layers", "num_heads", "window", "training_pooling", "num_classes")
        _require_heads("CatSegConfig", self.dim, self.num_heads)
        _require_groups("CatSegConfig", self.decoder_dims)


def cat_seg_vit_b16() -> CatSegConfig:
    """4.67 million weights on CLIP ViT-B/16 at 384 px."""
    return CatSegConfig(clip=presets.vit_b16().clip)


def cat_seg_vit_l14() -> CatSegConfig:
    """On CLIP ViT-L/14 at 336 px."""
    return CatSegConfig(clip=presets.vit_l14().clip)


def cat_seg_shapes_vit_s() -> CatSegConfig:
    """On the stand-in for ViT-B/16: its blocks a third and two thirds of the way guide."""
    return _small_cat_seg(replace(presets.shapes_vit_s().clip, guidance_layers=(0, 2)))


def cat_seg_shapes_vit_l() -> CatSegConfig:
    """On the stand-in for ViT-L/14."""
    return _small_cat_seg(replace(presets.shapes_vit_l().clip, guidance_layers=(1, 3)))


def cat_seg_shapes_convnext_s() -> CatSegConfig:
    """On the stand-in for ConvNeXt-B, whose stages have 2 and 4 times the token grid already and guide as they are."""
    return replace(_small_cat_seg(presets.shapes_convnext_s().clip), guidance_upsampling=(1, 1))


def cat_seg_shapes_convnext_l() -> CatSegConfig:
    """On the stand-in for ConvNeXt-L."""
    return replace(_small_cat_seg(presets.shapes_convnext_l().clip), guidance_upsampling=(1, 1))


def cat_seg_photo_lite0() -> CatSegConfig:
    """On the bridge, whose stages have 2 and 4 times the grid already. The words stay as they are: V is made of the
    same embeddings, and would not follow."""
    return replace(_small_cat_seg(presets.photo_lite0().clip), guidance_upsampling=(1, 1))


def _small_cat_seg(clip: ClipConfig) -> CatSegConfig:
    return CatSegConfig(
        clip=clip, dim=32, window=6, guidance_channels=(64, 32), guidance_dims=(8, 4), decoder_dims=(16, 16)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SedConfig:
    """SED: a cosine volume of a ConvNeXt, decoded stage by stage, with a guess at the classes after each."""

    clip: ClipConfig
    # Each is a channel of the volume.
    prompt_templates: tuple[str, ...] = IMAGENET
    dim: int = 128
    num_heads: int = 4
    # Of the depthwise convolution that stands for attention over positions.
    kernel_size: int = 9
    # The attention over classes sees the map reduced by this factor, in training only.
    training_pooling: int = 2
    # One decoder stage each, which doubles the map: CLIP's guiding stage (-1 is the stem), deepest first, its channels
    # in the decoder, and those of the result.
    guidance_stages: tuple[int, ...] = (2, 1, 0)
    guidance_dims: tuple[int, ...] = (32, 16, 8)
    decoder_dims: tuple[int, ...] = (64, 32, 16)
    # In prediction, a class goes on to the next stage if it is among the so many likeliest of one position at least.
    early_rejection: int | None = None

    def __post_init__(self) -> None:
        _require_positive(self, "dim", "num_heads", "kernel_size", "training_pooling")
        if self.early_rejection is not None:
            _require_positive(self, "early_rejection")
        for dim in (self.dim, *self.decoder_dims[:-1]):
            _require_heads("SedConfig", dim, self.num_heads)
        _require_groups("SedConfig", self.decoder_dims)
        if not len(self.guidance_stages) == len(self.guidance_dims) == len(self.decoder_dims):
            raise ModelError("SedConfig: guidance_stages, guidance_dims and decoder_dims need one value a stage each.")
        if sorted(set(self.guidance_stages), reverse=True) != list(self.guidance_stages):
            raise ModelError(f"SedConfig.guidance_stages must be deepest first, got {self.guidance_stages}.")


def sed_convnext_b() -> SedConfig:
    """1.38 million weights on CLIP ConvNeXt-B at 768 px."""
    return SedConfig(clip=presets.convnext_b().clip)


def sed_convnext_l() -> SedConfig:
    """On CLIP ConvNeXt-L at 768 px."""
    return SedConfig(clip=presets.convnext_l().clip)


def sed_shapes_convnext_s() -> SedConfig:
    """On the stand-in for ConvNeXt-B, whose map of 12 x 12 has two finer ones before it: two stages."""
    return _small_sed(presets.shapes_convnext_s().clip)


def sed_shapes_convnext_l() -> SedConfig:
    """On the stand-in for ConvNeXt-L."""
    return _small_sed(presets.shapes_convnext_l().clip)


def sed_photo_lite0() -> SedConfig:
    """On the bridge, whose stages have 2, 4 and 8 times the grid."""
    return replace(
        _small_sed(presets.photo_lite0().clip),
        guidance_stages=(3, 2, 1),
        guidance_dims=(8, 4, 4),
        decoder_dims=(16, 16, 16),
    )


def _small_sed(clip: ClipConfig) -> SedConfig:
    return SedConfig(
        clip=clip,
        prompt_templates=SHAPES_TEMPLATES,
        dim=32,
        kernel_size=5,
        guidance_stages=(0, -1),
        guidance_dims=(8, 4),
        decoder_dims=(16, 16),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SanConfig:
    """SAN: a small ViT beside CLIP proposes masks, and tells CLIP's own last blocks where to look for each."""

    # `clip.image_size` is the side at which CLIP sees an image of `image_size`.
    clip: ClipConfig
    prompt_templates: tuple[str, ...] = VILD
    image_size: int = 640
    patch_size: int = 16
    dim: int = 240
    num_blocks: int = 8
    num_heads: int = 6
    num_queries: int = 100
    mask_dim: int = 256
    # CLIP's tokens after so many of its blocks join those of the adapter before its first block, after its first, ...
    # After the last of them CLIP is split.
    fused_layers: tuple[int, ...] = (0, 3, 6, 9)
    # The adapter's blocks after which masks are told apart in training; the last is the one that predicts.
    supervised_blocks: tuple[int, ...] = (7, 8)
    # At which masks are compared in training.
    num_points: int = 112 * 112

    def __post_init__(self) -> None:
        names = ("image_size", "patch_size", "dim", "num_blocks", "num_heads", "num_queries", "mask_dim")
        _require_positive(self, *names)
        require_range("SanConfig.num_points", self.num_points, 1, 2**20)
        _require_heads("SanConfig", self.dim, self.num_heads)
        if self.image_size % self.patch_size:
            raise ModelError(
                f"SanConfig.image_size must be a multiple of patch_size = {self.patch_size}, got {self.image_size}."
            )
        if not self.supervised_blocks or self.supervised_blocks[-1] != self.num_blocks:
            raise ModelError(
                f"SanConfig.supervised_blocks must end with {self.num_blocks}, the last, got {self.supervised_blocks}."
            )
        if not 1 <= len(self.fused_layers) <= self.num_blocks:
            raise ModelError(f"SanConfig.fused_layers must be 1 to {self.num_blocks} layers, got {self.fused_layers}.")


def san_vit_b16() -> SanConfig:
    """8.4 million weights beside CLIP ViT-B/16 at half of 640 px."""
    return SanConfig(clip=replace(presets.vit_b16().clip, image_size=320))


def san_vit_l14() -> SanConfig:
    """Beside CLIP ViT-L/14 at 0.7 of 640 px."""
    clip = replace(presets.vit_l14().clip, pretrained="openai", image_size=448)
    return SanConfig(clip=clip, fused_layers=(0, 6, 12, 18))


def san_shapes_vit_s() -> SanConfig:
    """Beside the stand-in for ViT-B/16, on tokens half as large as CLIP's, as in the paper."""
    return _small_san(presets.shapes_vit_s().clip, fused_layers=(0, 1, 2, 3))


def san_shapes_vit_l() -> SanConfig:
    """Beside the stand-in for ViT-L/14."""
    return _small_san(presets.shapes_vit_l().clip, fused_layers=(0, 1, 3, 4))


def _small_san(clip: ClipConfig, *, fused_layers: tuple[int, ...]) -> SanConfig:
    return SanConfig(
        clip=clip,
        prompt_templates=SHAPES_TEMPLATES,
        image_size=96,
        patch_size=4,
        dim=96,
        num_blocks=6,
        num_queries=32,
        mask_dim=128,
        fused_layers=fused_layers,
        supervised_blocks=(5, 6),
        num_points=1024,
    )


def _require_positive(config: object, *names: str) -> None:
    for name in names:
        require_range(f"{type(config).__name__}.{name}", getattr(config, name), 1, 4096)


def _require_heads(owner: str, dim: int, num_heads: int) -> None:
    if dim % num_heads:
        raise ModelError(f"{owner}: the width must be a multiple of num_heads = {num_heads}, got {dim}.")


def _require_groups(owner: str, dims: tuple[int, ...]) -> None:
    if any(dim < 1 or dim % GROUP_CHANNELS for dim in dims):
        raise ModelError(f"{owner}.decoder_dims must be multiples of {GROUP_CHANNELS}, got {dims}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFreeConfig:
    """MaskCLIP, SCLIP, ClearCLIP and NACLIP: a CLIP, and what it is asked."""

    clip: ClipConfig
    prompt_templates: tuple[str, ...] = IMAGENET


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeConfig:
    """A bridge alone: a position is made of its `top_k` likeliest classes, by a softmax at `temperature`."""

    clip: ClipConfig
    prompt_templates: tuple[str, ...] = PAPER
    temperature: float = 1.0
    top_k: int = 1000

    def __post_init__(self) -> None:
        require_range("BridgeConfig.temperature", self.temperature, 0.01, 100.0)
        _require_positive(self, "top_k")


def bridge_photo_lite0() -> BridgeConfig:
    """As it stands under LoGoSeg."""
    clip = presets.photo_lite0().clip
    facts = BRIDGES[clip.name]
    return BridgeConfig(clip=clip, temperature=facts.temperature, top_k=facts.top_k)


# MaskCLIP has five templates more than the others.
MASKCLIP_TEMPLATES = (
    *IMAGENET,
    "there is a {} in the scene.",
    "there is the {} in the scene.",
    "this is a {} in the scene.",
    "this is the {} in the scene.",
    "this is one {} in the scene.",
)


def _training_free(templates: tuple[str, ...]) -> dict[str, Callable[[], TrainingFreeConfig]]:
    """On the ViTs of the paper, and on their stand-ins."""

    def on(preset: Callable[[], ModelConfig], asked: tuple[str, ...]) -> Callable[[], TrainingFreeConfig]:
        return lambda: TrainingFreeConfig(clip=preset().clip, prompt_templates=asked)

    return {
        "vit-b16": on(presets.vit_b16, templates),
        "vit-l14": on(presets.vit_l14, templates),
        "shapes-vit-s": on(presets.shapes_vit_s, SHAPES_TEMPLATES),
        "shapes-vit-l": on(presets.shapes_vit_l, SHAPES_TEMPLATES),
    }


PRESETS: dict[str, dict[str, Callable[[], Any]]] = {
    "cat-seg": {
        "vit-b16": cat_seg_vit_b16,
        "vit-l14": cat_seg_vit_l14,
        "shapes-vit-s": cat_seg_shapes_vit_s,
        "shapes-vit-l": cat_seg_shapes_vit_l,
        "shapes-convnext-s": cat_seg_shapes_convnext_s,
        "shapes-convnext-l": cat_seg_shapes_convnext_l,
        "photo-lite0": cat_seg_photo_lite0,
    },
    "sed": {
        "convnext-b": sed_convnext_b,
        "convnext-l": sed_convnext_l,
        "shapes-convnext-s": sed_shapes_convnext_s,
        "shapes-convnext-l": sed_shapes_convnext_l,
        "photo-lite0": sed_photo_lite0,
    },
    "san": {
        "vit-b16": san_vit_b16,
        "vit-l14": san_vit_l14,
        "shapes-vit-s": san_shapes_vit_s,
        "shapes-vit-l": san_shapes_vit_l,
    },
    "maskclip": _training_free(MASKCLIP_TEMPLATES),
    "sclip": _training_free(IMAGENET),
    "clearclip": _training_free(IMAGENET),
    "naclip": _training_free(IMAGENET),
    "bridge": {"photo-lite0": bridge_photo_lite0},
}
