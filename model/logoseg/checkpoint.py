"""Weights on disk: LoGoSeg's own, and the released CLIP weights in OpenAI's and open_clip's formats."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from open_clip import CLIP
from open_clip.factory import resize_pos_embed, resize_text_pos_embed
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from logoseg.clip import build_clip
from logoseg.config import ClipConfig, ModelConfig, model_config_from_dict
from logoseg.errors import ModelError
from logoseg.network import LoGoSeg

FORMAT = "logoseg-1"
_KEY = "logoseg"
# OpenAI's archives carry these three numbers among the weights.
_OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")


class Weights(NamedTuple):
    """A trained network and the class names it was trained on."""

    model: LoGoSeg
    class_names: tuple[str, ...]


def save_weights(model: nn.Module, config: ModelConfig, class_names: Sequence[str], path: Path) -> None:
    """Write weights, configuration and class names into one safetensors file, atomically."""
    description = {"format": FORMAT, "config": dataclasses.asdict(config), "class_names": list(class_names)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One key, because safetensors writes several in any order and equal weights must be equal files.
    content = save(tensors, metadata={_KEY: json.dumps(description, sort_keys=True)})
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_weights(path: Path) -> Weights:
    """The network that `save_weights` wrote. Raises ModelError when the file is missing or is something else."""
    description = _read_description(path)
    try:
        config = model_config_from_dict(description["config"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration does not fit this version: {error}") from None
    model = LoGoSeg(config)
    _load_strictly(model, load_file(path), path)
    return Weights(model.eval(), tuple(description["class_names"]))


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
    _load_strictly(clip, state, path)
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


def _read_description(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a run folder or a weights.safetensors that `ovlab train` wrote.")
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get(_KEY, "{}"))
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file ({error}).") from None
    if description.get("format") != FORMAT:
        raise ModelError(f"{path}: its format is {description.get('format')!r}, not {FORMAT!r}: no LoGoSeg weights.")
    return description


def _load_strictly(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    own = module.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            raise ModelError(f"{path}: weights of another model: {name} is missing.")
        if name not in own:
            raise ModelError(f"{path}: weights of another model: {name} is not in this one.")
        if own[name].shape != state[name].shape:
            found, expected = tuple(state[name].shape), tuple(own[name].shape)
            raise ModelError(f"{path}: weights of another model: {name} is {found}, this one needs {expected}.")
    module.load_state_dict(state)
