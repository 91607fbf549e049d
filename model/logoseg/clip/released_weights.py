"""Released CLIP weights, in OpenAI's and open_clip's formats."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from open_clip import CLIP
from open_clip.factory import resize_pos_embed, resize_text_pos_embed
from safetensors.torch import load_file
from torch import Tensor, nn

from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

# OpenAI's archives carry these three numbers among the weights.
_OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")


def load_clip(config: ClipConfig, path: Path) -> CLIP:
    """A CLIP model with released weights: OpenAI's archive or state dict, or open_clip's (.pt, .bin, .safetensors).

    The positional grid is resized bicubically to `config.image_size`. Raises ModelError naming a key that does not fit.
    """
    clip = build_clip(config)
    state = read_clip_state(path)
    resize_pos_embed(state, clip)
    resize_text_pos_embed(state, clip)
    if "logit_scale" in state:
        state["logit_scale"] = state["logit_scale"].reshape(clip.logit_scale.shape)
    load_strictly(clip, state, path)
    return clip


def read_clip_state(path: Path) -> dict[str, Tensor]:
    """The float32 state dict inside a released CLIP file, under open_clip's names."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give the path of a downloaded CLIP checkpoint.")
    content: dict[str, Any] = load_file(path) if path.suffix == ".safetensors" else _read_torch_file(path)
    state = content.get("state_dict", content)
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor.float() for name, tensor in state.items() if name not in _OPENAI_EXTRAS}


def _read_torch_file(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load says in many types that a file is not a plain pickle
        try:
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        except RuntimeError:
            raise ModelError(f"{path}: neither a state dict nor a TorchScript archive ({error}).") from error


def load_strictly(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Put `state` into `module`. Raises ModelError naming the first weight that one of them lacks or has in another
    shape, and one that holds NaN or infinity; `path` is for the message."""
    own = module.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            raise ModelError(f"{path}: weights of another model: {name} is missing.")
        if name not in own:
            raise ModelError(f"{path}: weights of another model: {name} is not in this one.")
        if own[name].shape != state[name].shape:
            found, expected = tuple(state[name].shape), tuple(own[name].shape)
            raise ModelError(f"{path}: weights of another model: {name} is {found}, this one needs {expected}.")
    diverged = first_non_finite(state)
    if diverged is not None:
        raise ModelError(f"{path}: {diverged} holds NaN or infinity: weights of a training that diverged, or damaged.")
    module.load_state_dict(state)


def first_non_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first weight, in the order of names, that holds NaN or infinity; None where all are finite."""
    return next((name for name in sorted(state) if not state[name].isfinite().all()), None)
