"""Which CLIP weights belong to a model: the small ones that come with the package, and the released ones by name.

clip_weights/README.md is the model card of the former. No torch here.
"""

from pathlib import Path

from logoseg.clip.bridge_facts import BRIDGES
from logoseg.config import ClipConfig

CLIP_WEIGHTS = Path(__file__).parent / "clip_weights"
# In open_clip's own format.
CLIP_CONFIGS = Path(__file__).parent / "clip_configs"
# Those that the presets of the paper mean (the ViTs of CAT-Seg, the ConvNeXts of SED), as open_clip calls them.
RELEASED = {
    "ViT-B-16-quickgelu": "openai",
    "ViT-L-14-336-quickgelu": "openai",
    "convnext_base_w_320": "laion_aesthetic_s13b_b82k",
    "convnext_large_d_320": "laion2b_s29b_b131k_ft_soup",
}


def shipped_clip(config: ClipConfig) -> Path | None:
    """The file of weights that comes with the package for `config.name`, in open_clip's format, if there is one; of a
    bridge that of its classifier, where its packages are installed."""
    if config.name in BRIDGES:
        return None if BRIDGES[config.name].missing else BRIDGES[config.name].classifier.path
    path = CLIP_WEIGHTS / f"{config.name}.safetensors"
    return path if path.is_file() else None


def is_own(config: ClipConfig) -> bool:
    """Whether the package defines the model; any other is one of open_clip's, made for released weights."""
    return (CLIP_CONFIGS / f"{config.name}.json").is_file()
