"""From a model as data to a network, and from a file of weights back to it, for LoGoSeg and every other method."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from logoseg.checkpoint import load_weights, read_described, require_whole, save_weights, write_described
from logoseg.clip.released_weights import load_strictly
from logoseg.config import ModelConfig
from logoseg.file_kind import file_kind, read_metadata
from logoseg.network import LoGoSeg
from ovlab.methods.registry import method_class, own_config
from ovlab.methods.segmenter import require_attributes
from ovlab.specs.method import MethodConfig, Model
from ovlab.specs.serialization import spec_from_json

FORMAT = "ovlab-method-1"
_KEY = "ovlab"


def build_network(model: Model, clip: nn.Module | None, files: Mapping[str, str]) -> Any:
    """The untrained network, on `clip` or on one with random weights. Raises InputError as `method_class`."""
    if isinstance(model, ModelConfig):
        return LoGoSeg(model, clip)
    found = method_class(model, files)
    network = found(own_config(found, model), clip)
    require_attributes(network, f"method {model.method}")
    return network


def write_network(network: nn.Module, model: Model, class_names: Sequence[str], path: Path) -> None:
    """Weights, configuration and class names in one safetensors file, atomically. ModelError as `save_weights`."""
    if isinstance(model, ModelConfig):
        save_weights(network, model, class_names, path)
        return
    description = {"format": FORMAT, "config": dataclasses.asdict(model), "class_names": list(class_names)}
    write_described(network.state_dict(), {_KEY: description}, path)


def model_of(path: Path) -> Model:
    """What the file says its weights are of. Raises ModelError for a file that is none of ours."""
    return _of_method(path)[1] if _is_of_method(path) else load_weights(path).model.config


def read_network(path: Path, files: Mapping[str, str]) -> Any:
    """The network that `write_network` wrote, ready to predict.

    Raises ModelError for another file, and InputError as `method_class`.
    """
    if not _is_of_method(path):
        return load_weights(path).model
    state, model = _of_method(path)
    network = build_network(model, None, files)
    load_strictly(network, state, path)
    return network.eval()


def _is_of_method(path: Path) -> bool:
    return path.is_file() and file_kind(path) == "safetensors" and _KEY in read_metadata(path)


def _of_method(path: Path) -> tuple[dict[str, Tensor], MethodConfig]:
    state, description = read_described(path, _KEY, FORMAT)
    require_whole(path, state, description)
    return state, spec_from_json(MethodConfig, json.dumps(description["config"]), place=str(path))
