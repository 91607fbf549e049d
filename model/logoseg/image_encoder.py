"""Dense CLIP image features: V, F_mid and S_1, S_2 (section 2.1; sheet 5.1 and 5.3), by the kind of the image tower."""

from typing import Any

from open_clip.transformer import VisionTransformer
from timm.models.convnext import ConvNeXt
from timm.models.eva import Eva
from timm.models.fastvit import FastVit
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import nn

from logoseg.clip.bridge import BridgeImageEncoder, ClassifierTower
from logoseg.clip.staged_encoder import ConvNextImageEncoder, FastVitImageEncoder
from logoseg.clip.timm_vit_encoder import TimmVitImageEncoder
from logoseg.clip.towers import Clip, unsupported
from logoseg.clip.vit_encoder import VitImageEncoder
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

ImageEncoder = VitImageEncoder | TimmVitImageEncoder | ConvNextImageEncoder | FastVitImageEncoder | BridgeImageEncoder

_OF_TRUNK: dict[type, Any] = {
    ConvNeXt: ConvNextImageEncoder,
    Eva: TimmVitImageEncoder,
    FastVit: FastVitImageEncoder,
    TimmVisionTransformer: TimmVitImageEncoder,
}


def build_image_encoder(clip: Clip, config: ClipConfig) -> ImageEncoder:
    """The encoder that fits the image tower of an open_clip model or of a bridge. The tower's modules are taken over,
    not copied.

    Raises ModelError for a tower that gives no dense tokens, and for layers and a tuning that it does not have.
    """
    encoder = _encoder_of(clip.visual, config)(clip.visual, config)
    _tune(encoder, config)
    return encoder


def _encoder_of(visual: nn.Module, config: ClipConfig) -> Any:
    if isinstance(visual, ClassifierTower):
        return BridgeImageEncoder
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        return VitImageEncoder
    tower = getattr(visual, "trunk", visual)
    if type(tower) not in _OF_TRUNK:
        raise unsupported(config.name, f"its image tower is a {type(tower).__name__}")
    return _OF_TRUNK[type(tower)]


def _tune(encoder: nn.Module, config: ClipConfig) -> None:
    """Let only the weights of `config.tuning` learn (A23)."""
    if config.tuning == "query_value" and not isinstance(encoder, VitImageEncoder):
        raise ModelError(
            "ClipConfig.tuning = 'query_value' is defined for a ViT only, of open_clip's own; use 'all' or 'frozen'."
        )
    if isinstance(encoder, BridgeImageEncoder):
        last = {id(weight) for weight in encoder.last_stage()}
        for weight in encoder.parameters():
            weight.requires_grad_(config.tuning == "all" or (config.tuning == "last_stage" and id(weight) in last))
        return
    for name, parameter in encoder.named_parameters():
        tuned = config.tuning == "all" or name.endswith(("query_weight", "value_weight"))
        parameter.requires_grad_(config.tuning != "frozen" and tuned)
    if isinstance(encoder, VitImageEncoder):
        # The last block's query and key are not used, and distributed training waits for every gradient.
        for name, parameter in encoder.blocks[-1].attn.named_parameters():
            if name.startswith(("query", "key")):
                parameter.requires_grad_(False)
