"""What open_clip knows of released weights by their tag: how pixels were normalised, and which GELU was trained."""

from typing import NamedTuple

import open_clip

from logoseg.config import ClipConfig
from logoseg.model_error import ModelError


class PretrainedTag(NamedTuple):
    """`mean` and `std` of RGB in [0, 1]. `quick_gelu`: OpenAI's fast approximation of GELU, in both towers."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    quick_gelu: bool


# Of weights without a tag, such as those of the package.
UNTAGGED = PretrainedTag(open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD, quick_gelu=False)


def pretrained_tag(config: ClipConfig) -> PretrainedTag:
    """What belongs to `config.pretrained`. Raises ModelError for a tag that open_clip does not have of this model."""
    if config.pretrained is None:
        return UNTAGGED
    found = open_clip.get_pretrained_cfg(config.name, config.pretrained)
    if not found:
        raise ModelError(f"ClipConfig.pretrained is {config.pretrained!r}; {config.name} has {tags(config.name)}.")
    return PretrainedTag(tuple(found["mean"]), tuple(found["std"]), found.get("quick_gelu", False))


def tags(name: str) -> str:
    """The tags of a model, for a message."""
    return ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "no tags"
