"""The released checkpoints of the rivals: files of torch.save in detectron2's format, read by their own key names.

A file holds the whole of a method, CLIP included. What belongs to CLIP is put under open_clip's names; each method says
by a table of replacements how its own weights are called here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import open_clip
import torch
from torch import Tensor, nn

from logoseg.clip.released_weights import load_strictly, read_clip_state
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

State = dict[str, Tensor]
Config = TypeVar("Config")
# A pattern, and what stands in place of what it finds.
Replacement = tuple[str, str | Callable[[re.Match[str]], str]]
# What CAT-Seg and SED share: attention over classes, and the convolutions after an up-sampling.
COST_VOLUME_NAMES: tuple[Replacement, ...] = (
    (r"\.attention\.attention\.", ".class_attention."),
    (r"\.attention\.", ".class_attention."),
    (r"\.q\.", ".query."),
    (r"\.k\.", ".key."),
    (r"\.v\.", ".value."),
    (r"\.norm([12])\.", r".norm_\1."),
    (r"\.MLP\.", ".mlp."),
    (r"\.conv1\.", ".embed_volume."),
    (r"\.decoder_guidance_projection\.(.)\.0\.", r".project_guidance.\1."),
    (r"\.decoder([123])\.", lambda found: f".decoder.{int(found[1]) - 1}."),
    (r"\.conv\.double_conv\.0\.", ".merge."),
    (r"\.conv\.double_conv\.1\.", ".merge_norm."),
    (r"\.conv\.double_conv\.3\.", ".refine."),
    (r"\.conv\.double_conv\.4\.", ".refine_norm."),
)
# One weight of each method that no other has.
_SIGNS = {
    "CAT-Seg": "sem_seg_head.predictor.transformer.layers.0.swin_block.guidance_norm.weight",
    "SED": "sem_seg_head.predictor.transformer.decoder1.cnext.dwconv.weight",
    "SAN": "side_adapter_network.query_embed",
}


def read_official(path: Path, method: str) -> State:
    """The float32 weights of a checkpoint of `method`. Raises ModelError for any other file, and says whose it is."""
    state = read_clip_state(path)
    found = [name for name, sign in _SIGNS.items() if sign in state]
    if found != [method]:
        whose = f"a checkpoint of {' and '.join(found)}" if found else "no checkpoint of CAT-Seg, SED or SAN"
        raise ModelError(f"{path}: {whose}; {method}'s has a weight {_SIGNS[method]}.")
    return state


def renamed(state: Mapping[str, Tensor], replacements: Sequence[Replacement]) -> State:
    """The weights under new names: every pattern is replaced in turn, and what ends up without a name is left out."""
    result: State = {}
    for name, tensor in state.items():
        for pattern, replacement in replacements:
            name = re.sub(pattern, replacement, name)
        if name:
            result[name] = tensor
    return result


def part_of(state: Mapping[str, Tensor], prefix: str) -> State:
    """The weights whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def joined_attention(state: Mapping[str, Tensor], path: Path) -> State:
    """q, k and v of an attention as open_clip's one matrix. Raises ModelError where one of the three is missing."""
    joined = dict(state)
    for name in state:
        if name.endswith("attn.q_proj_weight"):
            names = [name.replace(".q_", f".{letter}_") for letter in "qkv"]
            missing = [one for one in names if one not in state]
            if missing:
                raise ModelError(f"{path}: weights of another model: {missing[0]} is missing.")
            joined[name.replace(".q_proj", ".in_proj")] = torch.cat([joined.pop(one) for one in names])
    return joined


def official_clip(config: ClipConfig, state: Mapping[str, Tensor], path: Path) -> open_clip.CLIP:
    """CLIP with the weights of a checkpoint under open_clip's names. A ViT's positional grid keeps the size it has in
    the file; the encoders resize it to the tokens of their input. Raises ModelError naming a key that does not fit."""
    clip = build_clip(config)
    grid = state.get("visual.positional_embedding")
    if grid is not None and grid.ndim == 2 and round((len(grid) - 1) ** 0.5) ** 2 == len(grid) - 1:
        clip.visual.positional_embedding = nn.Parameter(grid.clone())
    load_strictly(clip, dict(state), path)
    return clip


def official_config(
    path: Path, width: Tensor | None, sizes: Mapping[int, Callable[[], Config]], config: Config | None
) -> Config:
    """`config`, or the paper's size that the number of rows of a weight says. Raises ModelError for another number."""
    if config is not None:
        return config
    found = None if width is None else len(width)
    if found is None or found not in sizes:
        raise ModelError(f"{path}: CLIP's first convolution has {found} channels; released were {tuple(sizes)}.")
    return sizes[found]()
