"""`--set a.b=value`: change any field of a spec from the command line, and nothing that is not a field.

The type of the field decides what a value means: it is read as JSON if that fits the field, else as it stands. So
`model.prior_weight=0.5` is a number, `model.prior_weight=adaptive` a word, and `dataset=123` a name.
"""

import difflib
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ovlab.specs.errors import InputError
from ovlab.specs.fields import leaves

Spec = TypeVar("Spec")

# What a Python programmer types for a JSON word.
_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}


def apply_overrides(spec: Spec, overrides: Sequence[str]) -> Spec:
    """`spec` with every `name=value` of `overrides` in place; the last one of a name wins.

    The changes are made together, so that two of them may depend on each other. Raises InputError for an unknown
    name, a value of another type, and a value that the spec itself refuses.
    """
    changes: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"--set {override}: write name=value, for example {next(iter(leaves(spec)))}=...")
        _insert(changes, _value(spec, name, text), name.split("."))
    try:
        return _replaced(spec, changes)
    except ValueError as error:  # the specs themselves say what they refuse
        raise InputError(str(error)) from None


def _insert(changes: dict[str, Any], value: object, path: list[str]) -> None:
    for part in path[:-1]:
        changes = changes.setdefault(part, {})
    changes[path[-1]] = value


def _replaced(spec: Any, changes: dict[str, Any]) -> Any:
    new = {
        name: _replaced(getattr(spec, name), change) if is_dataclass(getattr(spec, name)) else change
        for name, change in changes.items()
    }
    return replace(spec, **new)


def _value(spec: Any, name: str, text: str) -> object:
    """The value that `text` is for the field `name` of `spec`."""
    owner = spec
    *groups, leaf = name.split(".")
    for depth, part in enumerate([*groups, leaf]):
        if not is_dataclass(owner) or part not in (field.name for field in fields(owner)):
            raise InputError(_unknown(spec, name, owner, name.split(".")[:depth]))
        owner, kind = getattr(owner, part), get_type_hints(type(owner))[part]
    if is_dataclass(owner):
        inner = ", ".join(f"{name}.{field.name}" for field in fields(owner))
        raise InputError(f"--set {name}: this is a group of fields; set one of {inner}.")
    return _parsed(name, text, kind)


def _parsed(name: str, text: str, kind: Any) -> object:
    adapter: TypeAdapter[object] = TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))
    try:
        return adapter.validate_json(_JSON_WORDS.get(text, text))
    except ValidationError:
        pass
    try:
        return adapter.validate_python(text)
    except ValidationError:
        raise InputError(f"--set {name}: {text!r} is not allowed; give {_allowed(kind)}.") from None


def _unknown(spec: Any, name: str, owner: Any, groups: list[str]) -> str:
    nearest = difflib.get_close_matches(name, leaves(spec), n=1, cutoff=0.0)[0]
    group = ".".join(groups)
    if not is_dataclass(owner):
        return f"--set {name}: {group} is one value and has no fields. The nearest name is {nearest}."
    names = ", ".join(field.name for field in fields(owner))
    return f"--set {name}: no such field. The nearest name is {nearest}. Fields of {group or 'the spec'}: {names}."


def _allowed(kind: Any) -> str:
    """In words, what a field of this type takes."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: "null"}
    if kind in words:
        return words[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(argument) for argument in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a JSON list, each item {_allowed(arguments[0])}"
    if origin is tuple:
        return f"a JSON list of {len(arguments)}: {', '.join(_allowed(argument) for argument in arguments)}"
    return f"JSON that fits {kind}"
