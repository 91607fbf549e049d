"""LoGoSeg's weights on disk: one safetensors file that also holds the configuration and the class names."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save
from torch import Tensor, nn

from logoseg.clip.released_weights import first_non_finite, load_strictly
from logoseg.config import ModelConfig, model_config_from_dict
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from logoseg.weights_file import file_kind, first_line, kind_of, read_safetensors, tensors_digest

FORMAT = "logoseg-1"
_KEY = "logoseg"


class Weights(NamedTuple):
    """A trained network and the class names it was trained on."""

    model: LoGoSeg
    class_names: tuple[str, ...]


def save_weights(model: nn.Module, config: ModelConfig, class_names: Sequence[str], path: Path) -> None:
    """Write weights, configuration and class names into one safetensors file, atomically.

    Raises ModelError, and writes nothing, for a weight that holds NaN or infinity.
    """
    description = {"format": FORMAT, "config": dataclasses.asdict(config), "class_names": list(class_names)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    diverged = first_non_finite(tensors)
    if diverged is not None:
        raise ModelError(f"{path}: not written: {diverged} holds NaN or infinity.")
    description["sha256"] = _digest(tensors, description)
    # One key, because safetensors writes several in any order and equal weights must be equal files.
    content = save(tensors, metadata={_KEY: json.dumps(description, sort_keys=True)})
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: str | Path) -> LoGoSeg:
    """The network of a run folder or of a weights file, ready to predict. Raises ModelError where there is none."""
    path = Path(path)
    return load_weights(path / "weights.safetensors" if path.is_dir() else path).model


def load_weights(path: Path) -> Weights:
    """The network that `save_weights` wrote. Raises ModelError for a file that is missing, damaged, something else or
    of NaN."""
    state, description = _read(path)
    try:
        config, class_names = model_config_from_dict(description["config"]), description["class_names"]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration does not fit this version: {error}") from None
    if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
        raise ModelError(f"{path}: its class names are {kind_of(class_names)}, not a list of words.")
    model = LoGoSeg(config)
    load_strictly(model, state, path)
    _require_whole(path, state, description)
    return Weights(model.eval(), tuple(class_names))


def require_whole(path: Path) -> None:
    """Raise ModelError unless the file holds what `save_weights` wrote into it."""
    _require_whole(path, *_read(path))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a run folder or a weights.safetensors that `ovlab train` wrote.")
    if file_kind(path) != "safetensors":
        raise ModelError(f"{path}: a file of torch.save, no LoGoSeg weights. Give the weights.safetensors of a run.")
    state, metadata = read_safetensors(path)
    return state, _described(path, metadata)


def _require_whole(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    digest = _digest(state, description)
    if description.get("sha256", digest) != digest:  # files of before have none
        raise ModelError(f"{path}: damaged (its sha256 is not that of its weights); copy or train it again.")


def _digest(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in description.items() if name != "sha256"}
    return tensors_digest(tensors, json.dumps(rest, sort_keys=True))


def _described(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What `save_weights` wrote beside the weights."""
    try:
        description = json.loads(metadata.get(_KEY, "{}"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: its description is no JSON ({first_line(error)}); no LoGoSeg weights.") from None
    if not isinstance(description, dict):
        raise ModelError(f"{path}: its description is {kind_of(description)}; no LoGoSeg weights.")
    if description.get("format") != FORMAT:
        raise ModelError(f"{path}: its format is {description.get('format')!r}, not {FORMAT!r}: no LoGoSeg weights.")
    return description
