"""From a model as data to a network, and from a file of weights back to it, for LoGoSeg and every other method."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from logoseg.checkpoint import load_weights, save_weights, write_described
from logoseg.clip.released_weights import load_strictly
from logoseg.config import ModelConfig
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from logoseg.weights_file import file_kind, read_metadata, read_safetensors
from ovlab.methods.registry import method_class, own_config
from ovlab.methods.segmenter import require_attributes
from ovlab.specs.method import MethodConfig, Model
from ovlab.specs.serialization import spec_from_json
from ovlab.specs.wording import one_line

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


class Network(NamedTuple):
    """A network with its weights, ready to predict, and what it is as data."""

    model: Model
    network: Any


def model_of(path: Path) -> Model:
    """What the file says its weights are of. Raises ModelError for a file that is none of ours."""
    config = _method_config(path)
    return load_weights(path).model.config if config is None else config


def read_network(path: Path, files: Mapping[str, str]) -> Network:
    """The network that `write_network` wrote. Raises ModelError for another file, and InputError as `method_class`."""
    config = _method_config(path)
    if config is None:
        network = load_weights(path).model
        return Network(network.config, network)
    network = build_network(config, None, files)
    load_strictly(network, read_safetensors(path)[0], path)
    return Network(config, network.eval())


def _method_config(path: Path) -> MethodConfig | None:
    """None for a file that says nothing of another method than LoGoSeg."""
    if not path.is_file() or file_kind(path) != "safetensors":
        return None
    metadata = read_metadata(path)
    if _KEY not in metadata:
        return None
    try:
        description = json.loads(metadata[_KEY])
        if description["format"] != FORMAT:
            raise ModelError(f"{path}: its format is {description['format']!r}, not {FORMAT!r}.")
        return spec_from_json(MethodConfig, json.dumps(description["config"]), place=str(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: its description is none of a method ({one_line(error)}).") from None
