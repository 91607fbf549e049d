"""What a tower is, by its name, before it is built: what it cannot be is refused before anything runs.

The files that say it are open_clip's and the package's own. No torch here.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from logoseg.clip.bridge_facts import BRIDGES, BridgeFacts
from logoseg.clip.shipped import CLIP_CONFIGS
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

# Layer -1 is the stem.
_CONVNEXT_STAGES = 4
_CONVNEXTS = ("convnext", "logoseg_convnext")


@cache
def model_config(name: str) -> dict[str, Any] | None:
    """What open_clip or the package says of the model `name`; None where neither has a file of that name."""
    for folder in (CLIP_CONFIGS, _open_clip_configs()):
        file = folder / f"{name}.json"
        if "/" not in name and file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
    return None


def require_tower(config: ClipConfig) -> None:
    """Raises ModelError for a tower that there is not, and for layers, stem or tuning that a ViT or a ConvNeXt of that
    name cannot have."""
    if config.name in BRIDGES:
        _require_bridge(config, BRIDGES[config.name])
        return
    known = model_config(config.name)
    if known is None:
        raise ModelError(f"ClipConfig.name is {config.name!r}: neither an open_clip model nor one of {own_names()}.")
    if config.tuning == "last_stage":
        raise ModelError(f"ClipConfig.tuning = 'last_stage' is defined for a bridge ({', '.join(BRIDGES)}) only.")
    vision = known["vision_cfg"]
    is_vit, is_convnext = isinstance(vision.get("layers"), int), _is_convnext(vision)
    if config.stem == "convolutions" and not is_vit:
        raise ModelError(f"ClipConfig.stem = 'convolutions' is defined for a ViT only, and {config.name} is none.")
    if config.stem == "convolutions" and vision["patch_size"] not in (8, 16, 32):
        raise ModelError(f"A convolution stem needs a patch size of 8, 16 or 32, got {vision['patch_size']}.")
    if is_convnext and config.tuning == "query_value":
        raise ModelError("ClipConfig.tuning = 'query_value' is defined for a ViT only; use 'all' or 'frozen'.")
    if not (is_vit or is_convnext):
        return
    # The last block of a ViT gives V.
    first, last = (0, vision["layers"] - 2) if is_vit else (-1, _CONVNEXT_STAGES - 1)
    guidance = () if config.guidance_layers == "stem" else config.guidance_layers
    for layer, low in ((config.middle_layer, 0), *((layer, first) for layer in guidance)):
        if not low <= layer <= last:
            what = "block" if is_vit else "stage"
            raise ModelError(f"ClipConfig names {what} {layer}; this tower has {low} .. {last}.")


def own_names() -> str:
    """The models that the package defines, for a message."""
    return ", ".join([*sorted(path.stem for path in CLIP_CONFIGS.glob("*.json")), *BRIDGES])


def _require_bridge(config: ClipConfig, facts: BridgeFacts) -> None:
    if config.stem == "convolutions":
        raise ModelError(f"ClipConfig.stem = 'convolutions' is defined for a ViT only, and {config.name} is none.")
    if config.tuning == "query_value":
        raise ModelError(
            "ClipConfig.tuning = 'query_value' is defined for a ViT only; use 'last_stage', 'all' or 'frozen'."
        )
    for layer in (config.middle_layer, *config.guidance_layers):
        if layer not in range(facts.num_stages):
            raise ModelError(f"ClipConfig names stage {layer}; this tower has 0 .. {facts.num_stages - 1}.")


def _is_convnext(vision: dict[str, Any]) -> bool:
    return str(vision.get("timm_model_name")).startswith(_CONVNEXTS)


@cache
def _open_clip_configs() -> Path:
    """The folder of open_clip's files, found without importing it, which takes seconds."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise ModelError("open_clip is not installed; see the README.")
    return Path(found.origin).parent / "model_configs"
