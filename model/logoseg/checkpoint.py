"""LoGoSeg's weights on disk: one safetensors file that also holds the configuration and the class names."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from logoseg.clip.released_weights import first_non_finite, load_strictly
from logoseg.config import ModelConfig, model_config_from_dict
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg

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
    """The network that `save_weights` wrote. Raises ModelError for a file that is missing, something else or of NaN."""
    description = _read_description(path)
    try:
        config = model_config_from_dict(description["config"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration does not fit this version: {error}") from None
    model = LoGoSeg(config)
    load_strictly(model, load_file(path), path)
    return Weights(model.eval(), tuple(description["class_names"]))


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
