"""Released CLIP weights, in OpenAI's and open_clip's formats."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import CustomTextCLIP
from open_clip.convert import convert_state_dict
from open_clip.factory import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed
from torch import Tensor, nn

from logoseg.clip.bridge_facts import BRIDGES
from logoseg.clip.bridge_weights import load_bridge
from logoseg.clip.known_files import require_origin
from logoseg.clip.pretrained_tag import tags
from logoseg.clip.shipped import RELEASED, is_own
from logoseg.clip.torchscript_archive import is_torchscript, read_torchscript
from logoseg.clip.towers import Clip, build_clip
from logoseg.config import ClipConfig
from logoseg.file_kind import file_kind
from logoseg.model_error import ModelError
from logoseg.weights_file import first_line, kind_of, read_safetensors

# OpenAI's archives carry the first three numbers among the weights, other exports a count of positions.
_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "position_ids")
# Where checkpoints of trainings keep the weights.
_STATE_KEYS = ("state_dict", "model_state_dict", "model")
# No name of CLIP begins with any of them; torch.compile may wrap a part of the model.
_WRAPPERS = re.compile(r"^((module|model|_orig_mod)\.)+|(?<=\.)_orig_mod\.")
# A best score among the weights is often NumPy's. Its module had another name before NumPy 2.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    *((_SCALAR, f"numpy.{module}.multiarray.scalar") for module in ("core", "_core")),
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)),
]
_POSITIONS = "visual.positional_embedding"
_UNKNOWN_TYPE = re.compile(r"GLOBAL ([\w.]+)")


def load_clip(config: ClipConfig, path: Path, cache_folder: Path | None = None) -> Clip:
    """A CLIP model with released weights: OpenAI's archive or state dict, or open_clip's; or a bridge, whose classifier
    the file holds. cache_folder: where a bridge keeps what it makes of its words.

    The positional grid stays as it was trained where `config.pretrained` names the weights: the image encoder resizes
    it, once, for each input. That of a CLIP of the package is resized to `config.image_size` here. What is assumed of
    an unknown file is said, see `known_files`. Raises ModelError naming a key that does not fit, and for released
    weights that need a tag and have none.
    """
    if config.name in BRIDGES:
        return load_bridge(config, BRIDGES[config.name], path, cache_folder)
    clip = build_clip(config)
    state = convert_state_dict(clip, read_clip_state(path))
    if isinstance(clip, CustomTextCLIP) and "positional_embedding" in state:  # a file of open_clip's first years
        state = convert_to_custom_text_state_dict(state)
    if is_own(config):
        resize_pos_embed(state, clip)
    elif config.pretrained is None:
        _require_no_tag(config, clip, state)
    resize_text_pos_embed(state, clip)
    for name in ("logit_scale", "logit_bias"):
        if name in state and getattr(clip, name) is not None:
            state[name] = state[name].reshape(getattr(clip, name).shape)
    load_strictly(clip, state, path)
    require_origin(config, path)
    return clip


def _require_no_tag(config: ClipConfig, clip: Any, state: Mapping[str, Tensor]) -> None:
    """Raises ModelError unless the weights are among those of the paper, at the size at which they were trained."""
    grid = state.get(_POSITIONS)
    is_resized = grid is not None and grid.shape != clip.state_dict().get(_POSITIONS, grid).shape
    if config.name not in RELEASED or is_resized:
        raise ModelError(
            f"ClipConfig.pretrained is not given: the tag of these weights of {config.name} (open_clip has "
            f"{tags(config.name)}), from which normalisation, activation and positional grid follow."
        )


def read_clip_state(path: Path) -> dict[str, Tensor]:
    """The float32 state dict inside a released CLIP file, under open_clip's names.

    A checkpoint of a training may hold it under another key, and DistributedDataParallel, torch.compile and Lightning
    put a word before each name. Raises ModelError, which says what the file is, where there is none.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give the path of a downloaded CLIP checkpoint.")
    kind = file_kind(path)
    content = read_safetensors(path)[0] if kind == "safetensors" else _read_torch_file(path)
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _STATE_KEYS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds {kind_of(content)}, not a state dict; save model.state_dict().")
    state: dict[str, Tensor] = {}
    for name, tensor in content.items():
        own = _WRAPPERS.sub("", str(name))
        if not isinstance(tensor, Tensor) or own.rpartition(".")[2] in _NO_WEIGHTS:
            continue
        if own in state:
            raise ModelError(f"{path}: {own} is there twice, as {name} and without a prefix or with another.")
        state[own] = tensor.float()
    if not state:
        keys = ", ".join(sorted(map(str, content))[:5])
        raise ModelError(f"{path}: no tensors in it, or none under a known key; found {keys or 'nothing'}.")
    return state


def _read_torch_file(path: Path) -> Any:
    """What torch.save wrote, or the state dict of a TorchScript archive."""
    try:
        if zipfile.is_zipfile(path) and is_torchscript(path):
            return read_torchscript(path)
        # An open file, since torch goes by the suffix of a path.
        with torch.serialization.safe_globals(_NUMBERS), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _UNKNOWN_TYPE.search(str(error))
        reason = f"it holds {found[1]}" if found else first_line(error)
        raise ModelError(
            f"{path}: more than tensors and plain values, which is not opened since it may run code ({reason}); "
            "save its state dict alone."
        ) from None
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise ModelError(f"{path}: a PyTorch file that is cut off or damaged ({first_line(error)}).") from None


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
