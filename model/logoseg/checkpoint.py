"""LoGoSeg's weights on disk: one safetensors file that also holds the configuration and the class names."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save
from torch import Tensor, nn

from logoseg.clip.bridge_facts import BRIDGES, missing_packages
from logoseg.clip.fetching import fetched
from logoseg.clip.released_weights import first_non_finite, load_clip, load_strictly
from logoseg.clip.shipped import shipped_clip
from logoseg.config import ModelConfig, model_config_from_dict, model_config_to_dict
from logoseg.dense_clip import DenseClip
from logoseg.file_kind import file_kind
from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from logoseg.weights_file import first_line, kind_of, read_safetensors, tensors_digest

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
    description = {"format": FORMAT, "config": model_config_to_dict(config), "class_names": list(class_names)}
    write_described(model.state_dict(), {_KEY: description}, path)


def load(place: str | Path, clip: str | Path | None = None) -> LoGoSeg | DenseClip:
    """The network of a run folder or of a weights file, or CLIP alone as "clip:PRESET" or a bridge as "bridge:PRESET",
    ready to predict.

    `clip`: the file of a preset's CLIP that does not come with the package, or open_clip's tag, by which it is fetched.
    Raises ModelError where there is none.
    """
    name, path = str(place), Path(place)
    if name.startswith(("clip:", "bridge:")) and not path.exists():
        return _alone(name, clip)
    return load_weights(path / "weights.safetensors" if path.is_dir() else path).model


def _given(config: ModelConfig, clip: str | Path) -> Path:
    return Path(clip) if Path(clip).is_file() else fetched(config.clip.name, str(clip))


def _alone(name: str, clip: str | Path | None) -> DenseClip:
    kind, _, preset = name.partition(":")
    if preset not in PRESETS:
        raise ModelError(f"{name}: no such preset. Presets are {', '.join(PRESETS)}.")
    config = PRESETS[preset]()
    fitting = "bridge" if config.clip.name in BRIDGES else "clip"
    if kind != fitting:
        raise ModelError(f"{name}: {preset} stands on a {fitting}; write {fitting}:{preset}.")
    file = shipped_clip(config.clip) if clip is None else _given(config, clip)
    if file is None and kind == "bridge":
        raise ModelError(f"{name}: {missing_packages(config.clip.name)}.")
    if file is None:
        raise ModelError(f"{name}: the weights of {config.clip.name} do not come with the package; give clip=FILE.")
    # CLIP alone has no regions.
    return DenseClip(replace(config, region_alignment=False), load_clip(config.clip, file)).eval()


def load_weights(path: Path) -> Weights:
    """The network that `save_weights` wrote. Raises ModelError for a file that is missing, damaged, something else or
    of NaN."""
    state, description = read_described(path, _KEY, FORMAT)
    try:
        config, class_names = model_config_from_dict(description["config"]), description["class_names"]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration does not fit this version: {error}") from None
    if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
        raise ModelError(f"{path}: its class names are {kind_of(class_names)}, not a list of words.")
    model = LoGoSeg(config)
    load_strictly(model, state, path)
    require_whole(path, state, description)
    return Weights(model.eval(), tuple(class_names))


def write_described(state: Mapping[str, Tensor], description: Mapping[str, Any], path: Path) -> None:
    """Write weights and what they are, plain values under one key, into a safetensors file, atomically. The sha256 of
    both is put beside the values.

    Raises ModelError, and writes nothing, for a weight that holds NaN or infinity.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    diverged = first_non_finite(tensors)
    if diverged is not None:
        raise ModelError(f"{path}: not written: {diverged} holds NaN or infinity.")
    # One key, because safetensors writes several in any order and equal weights must be equal files.
    ((key, value),) = description.items()
    content = save(tensors, metadata={key: json.dumps({**value, "sha256": _digest(tensors, value)}, sort_keys=True)})
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk is told by write, which knows no name
        partial.unlink(missing_ok=True)
        raise


def read_described(path: Path, key: str, format: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights that `write_described` wrote, and what it said of them under `key`, of that `format`.

    Raises ModelError for a file that is missing, or something else; `require_whole` says whether it is damaged.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file. Give a run folder or a weights.safetensors that `ovlab train` wrote.")
    if file_kind(path) != "safetensors":
        raise ModelError(f"{path}: a file of torch.save, no LoGoSeg weights. Give the weights.safetensors of a run.")
    state, metadata = read_safetensors(path)
    description = _parsed(path, metadata.get(key, "{}"))
    if description.get("format") != format:
        raise ModelError(f"{path}: its format is {description.get('format')!r}, not {format!r}: no LoGoSeg weights.")
    return state, description


def require_whole(path: Path, state: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Raise ModelError unless the weights and what is said of them are those that were written together."""
    digest = _digest(state, description)
    if description.get("sha256", digest) != digest:  # files of before have none
        raise ModelError(f"{path}: damaged (its sha256 is not that of its weights); copy or train it again.")


def require_whole_file(path: Path) -> None:
    """The same of a file, whatever its format."""
    state, metadata = read_safetensors(path)
    for value in metadata.values():
        require_whole(path, state, _parsed(path, value))


def _digest(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in description.items() if name != "sha256"}
    return tensors_digest(tensors, json.dumps(rest, sort_keys=True))


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        description = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: its description is no JSON ({first_line(error)}); no LoGoSeg weights.") from None
    if not isinstance(description, dict):
        raise ModelError(f"{path}: its description is {kind_of(description)}; no LoGoSeg weights.")
    return description
