"""A spec as flat text parameters, so that runs can be compared by model.prior_weight or model.region_grid."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def flat_params(spec: object) -> dict[str, str]:
    """The fields of a dataclass, nested ones under dotted names; a sequence is one parameter, as text.

    An option that is a dataclass of several kinds (an inference mode, a collapse) also gives its class name, under its
    own name; a Spec or a Config does not, whose fields say all.
    """
    return dict(_flatten(spec, ""))


def _flatten(value: Any, name: str) -> "list[tuple[str, str]]":
    prefix = f"{name}." if name else ""
    if is_dataclass(value) and not isinstance(value, type):
        known = type(value).__name__.endswith(("Spec", "Config"))
        kind = [(name, type(value).__name__)] if name and not known else []
        return kind + [
            pair for entry in fields(value) for pair in _flatten(getattr(value, entry.name), prefix + entry.name)
        ]
    if isinstance(value, Mapping):
        return [pair for key, item in value.items() for pair in _flatten(item, f"{prefix}{key}")]
    if isinstance(value, list | tuple):
        return [(name, ", ".join(str(item) for item in value))]
    return [(name, str(value))]
