"""Two ConvNeXts small enough to learn on a laptop, registered with timm so that open_clip can build them by name.

They mirror the released ConvNeXt towers at 96 instead of 768 pixels: the last map is a token grid of 12 x 12, the two
stages before it have 2 and 4 times that. The depthwise kernels are 3 x 3, half the time of 7 x 7 on maps this small,
and there is no layer scale, which would hold the blocks near zero for the whole of a short training.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.convnext import ConvNeXt

_COMMON: dict[str, Any] = {"patch_size": 2, "output_stride": 8, "kernel_sizes": 3, "ls_init_value": None}
_CONFIG = {"input_size": (3, 96, 96), "pool_size": (12, 12), "num_classes": 0}
# timm looks for this name in the module of a registered model.
default_cfgs = generate_default_cfgs({"logoseg_convnext_s": _CONFIG, "logoseg_convnext_l": _CONFIG})


@register_model
def logoseg_convnext_s(pretrained: bool = False, **options: Any) -> ConvNeXt:
    """0.7 million weights."""
    return _convnext("logoseg_convnext_s", pretrained, depths=(1, 1, 3, 1), dims=(32, 64, 128, 128), **options)


@register_model
def logoseg_convnext_l(pretrained: bool = False, **options: Any) -> ConvNeXt:
    """1.2 million weights."""
    return _convnext("logoseg_convnext_l", pretrained, depths=(1, 2, 4, 1), dims=(40, 80, 144, 160), **options)


def _convnext(name: str, pretrained: bool, **options: Any) -> ConvNeXt:
    features = {"out_indices": (0, 1, 2, 3), "flatten_sequential": True}
    return build_model_with_cfg(ConvNeXt, name, pretrained, feature_cfg=features, **_COMMON, **options)
