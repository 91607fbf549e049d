"""The vision-language model underneath, built by open_clip from a name, with random weights.

Names are those of open_clip and of the files in clip_configs/, which are in open_clip's own format. Released weights
are read by logoseg.checkpoint.
"""

from typing import TypeAlias

import open_clip
from jaxtyping import Float
from torch import Tensor, nn

import logoseg.clip.small_convnext  # noqa: F401  timm knows them by name from here on
from logoseg.clip.bridge import Bridge
from logoseg.clip.bridge_facts import BRIDGES
from logoseg.clip.pretrained_tag import pretrained_tag
from logoseg.clip.shipped import CLIP_CONFIGS
from logoseg.clip.tokenizer import build_tokenizer
from logoseg.clip.tower_facts import own_names
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

SUPPORTED = (
    "open_clip's own ViT (OpenAI, LAION, DFN, CLIPA ...), and timm's ConvNeXt, ViT (SigLIP, SigLIP2, ViTamin, "
    "MobileCLIP-B), EVA (EVA01, EVA02, PE-Core) and FastViT (MobileCLIP)"
)


Clip: TypeAlias = open_clip.CLIP | open_clip.CustomTextCLIP | Bridge


def build_clip(config: ClipConfig) -> Clip:
    """An open_clip model, or a bridge, in float32 with random weights. Its positional grid is the one that was trained
    where `config.pretrained` names weights, otherwise sized for `config.image_size`.

    Its attribute `tokenize` is the tokenizer that its text tower was made for.

    Raises ModelError when the name or the tag is unknown, and for a model that is more than an image and a text tower.
    """
    if config.name in BRIDGES:
        return Bridge(config.name, BRIDGES[config.name])
    open_clip.add_model_config(CLIP_CONFIGS)
    if config.name not in open_clip.list_models():
        raise ModelError(f"ClipConfig.name is {config.name!r}: neither an open_clip model nor one of {own_names()}.")
    model_config = open_clip.get_model_config(config.name)
    if "multimodal_cfg" in model_config:
        raise unsupported(config.name, "a CoCa: it pools by queries of its own")
    if "hf_model_name" in model_config["text_cfg"]:
        raise unsupported(config.name, f"its text tower, {model_config['text_cfg']['hf_model_name']}, is downloaded")
    if config.pretrained is None:
        model_config["vision_cfg"]["image_size"] = config.image_size
    model_config["quick_gelu"] = model_config.get("quick_gelu", False) or pretrained_tag(config).quick_gelu
    # A randomly dropped path would make the loss depend on how a batch is split over workers.
    model_config["vision_cfg"].pop("timm_drop_path", None)
    has_text_tower = model_config.pop("custom_text", False)
    clip = (open_clip.CustomTextCLIP if has_text_tower else open_clip.CLIP)(**model_config)
    clip.tokenize = build_tokenizer(model_config["text_cfg"])
    if config.stem == "convolutions":
        visual = clip.visual
        visual.conv1 = ConvolutionStem(width=visual.conv1.out_channels, patch_size=visual.patch_size[0])
    return clip


def unsupported(name: str, reason: str) -> ModelError:
    """That a model gives no dense tokens, and which do."""
    return ModelError(f"{name} is not supported ({reason}). Supported image towers: {SUPPORTED}.")


class ConvolutionStem(nn.Module):
    """Pixels to tokens by 3 x 3 convolutions of stride 2 (Xiao et al. 2021), in place of one strided convolution.

    A transformer learns little from a few hundred photographs; with this stem it does. GroupNorm, because the result
    must not depend on how a batch is split over workers.
    """

    def __init__(self, *, width: int, patch_size: int) -> None:
        super().__init__()
        num_stages = patch_size.bit_length() - 1
        if patch_size != 2**num_stages or patch_size < 8:
            raise ModelError(f"A convolution stem needs a patch size of 8, 16 or 32, got {patch_size}.")
        # widths double towards the tokens, and end at `width`
        widths = [3, *(max(16, width >> (num_stages - 1 - stage)) for stage in range(num_stages))]
        self.stages = nn.ModuleList(_stem_stage(widths[i], widths[i + 1], residual=i > 0) for i in range(num_stages))
        self.out = nn.Conv2d(widths[-1], width, kernel_size=1)
        self.guidance_dims = (widths[-2], widths[-3])

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        return self.activations(images)[-1]

    def activations(self, images: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The map after every stage, at 1/2, 1/4, 1/8 ... of the image side, and last the token map."""
        maps = []
        x = images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [*maps, self.out(x)]


class _Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _convolution(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(out_channels // 8, out_channels),
        nn.ReLU(inplace=True),
    )


def _stem_stage(in_channels: int, out_channels: int, *, residual: bool) -> nn.Module:
    """Half the resolution; from 1/4 on also one residual convolution, where it costs little and adds most."""
    down = _convolution(in_channels, out_channels, stride=2)
    return nn.Sequential(down, _Residual(_convolution(out_channels, out_channels, stride=1))) if residual else down
