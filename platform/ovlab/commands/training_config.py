"""A training as one file of YAML: what `ovlab train --show-config` prints and `--config` reads."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from logoseg.presets import PRESETS
from ovlab.specs.errors import InputError
from ovlab.specs.method import MethodConfig
from ovlab.specs.training import TrainingSpec
from ovlab.specs.wording import one_line

# Of the model of a method, what the command says by itself.
_OF_METHOD = ("method", "options", "revision")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """`fields` are those of the spec as NAME=VALUE, as `--set` takes them; `options` those of the method."""

    dataset: str
    preset: str = "tiny"
    clip: str | None = None
    method: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()


def config_text(spec: TrainingSpec, preset: str, clip: str | None, method: str | None) -> str:
    """The spec, the preset and the CLIP weights that it starts from, and the method as it was asked for."""
    import yaml

    values: dict[str, Any] = {"preset": preset, "clip": clip}
    fields = json.loads(json.dumps(asdict(spec)))
    if isinstance(spec.model, MethodConfig):
        values |= {"method": method, "options": spec.model.values}
        for name in _OF_METHOD:
            del fields["model"][name]
    return yaml.safe_dump(values | fields, sort_keys=False, allow_unicode=True)


def read_config(path: Path) -> TrainingConfig:
    """Raises InputError for a file that is not there, is no YAML, does not name a data set, or names an unknown
    preset. Whether its fields are those of the spec is for whoever applies them to say."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)}).") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML ({one_line(error)}).") from None
    if not isinstance(values, dict) or not isinstance(values.get("dataset"), str):
        raise InputError(f"{path}: write `dataset: NAME` and fields of a training; see ovlab train --show-config.")
    own = {name: values.pop(name) for name in ("preset", "clip", "method", "options") if name in values}
    try:
        adapter = TypeAdapter(TrainingConfig)
        config = adapter.validate_python({"dataset": values["dataset"], "fields": tuple(_flat(values)), **own})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    if config.preset not in PRESETS:
        nearest = difflib.get_close_matches(config.preset, PRESETS, n=1, cutoff=0.0)[0]
        raise InputError(f"{path}: no preset {config.preset!r}. The nearest is {nearest!r}.")
    return config


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={value if isinstance(value, str) else json.dumps(value)}"
