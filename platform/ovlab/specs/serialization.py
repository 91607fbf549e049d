"""A spec as JSON that a person can read, and back. Nothing unknown is dropped in silence."""

import difflib
import json
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import is_left_out

Spec = TypeVar("Spec")

_adapters: dict[type, Any] = {}


def spec_to_json(spec: object) -> str:
    """Indented JSON of a dataclass, one field a line, in the order of declaration."""
    # Without the warnings: 1 in a field of type `float | Literal` is as good as 1.0.
    left_out = _left_out(spec)
    return _adapter(type(spec)).dump_json(spec, indent=2, warnings=False, exclude=left_out).decode() + "\n"


def spec_from_json(kind: type[Spec], text: str, *, place: str) -> Spec:
    """The spec of class `kind` that `spec_to_json` wrote. A field that is missing takes its default.

    `place` is where the text comes from, for the message. Raises InputError for text that is no JSON, an unknown
    field, a missing one without default, a value of another type and a value that the spec refuses.
    """
    adapter = _adapter(kind)
    try:
        spec = adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        message = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise InputError(f"{place}: {name + ': ' if name else ''}{message}") from None
    _refuse_unknown(json.loads(text), adapter.dump_python(spec, mode="json", warnings=False), place, "")
    return spec


def _adapter(kind: type) -> Any:
    """The TypeAdapter of a class, made once: that takes longer than to read a spec."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _left_out(spec: Any) -> dict[str, Any]:
    """The fields of nested dataclasses that `is_left_out` names, as pydantic's `exclude`."""
    found: dict[str, Any] = {}
    for field in fields(spec):
        if is_left_out(field, spec):
            found[field.name] = True
        elif is_dataclass(getattr(spec, field.name)):
            found[field.name] = _left_out(getattr(spec, field.name))
    return {name: inner for name, inner in found.items() if inner}


def _refuse_unknown(given: Any, known: Any, place: str, prefix: str) -> None:
    if not isinstance(given, dict) or not isinstance(known, dict):
        return
    for name, value in given.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(f"{place}: no such field {prefix}{name}. The nearest name is {prefix}{nearest}.")
        _refuse_unknown(value, known[name], place, f"{prefix}{name}.")
