"""Identity of a spec: the sha256 of its canonical JSON.

Two processes, on two machines, in two years, must arrive at the same digest for the same spec; otherwise a finished
result would be computed again, or worse, another one taken for it. So the encoder refuses whatever has no value of
its own (a callable's repr holds an address, a set has no order, a path differs between machines) instead of turning
it into a string.

Equal numbers are encoded alike, so that 1 and 1.0 in a spec give one fingerprint. A dataclass is encoded with its
class name: two options with the same fields are two different specs.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from pathlib import PurePath
from typing import Any

from ovlab.specs.errors import InputError

# Above this, whole floats are no longer told apart from their neighbours, so they keep their exponent.
LARGEST_EXACT_FLOAT = 2**53


def added_later(before: object) -> dict[str, object]:
    """Metadata of a field that a class got when there were records of it already: where it has the value that held
    `before`, it is left out of what is written, so that fingerprints stand and an older version reads the spec."""
    return {"added_later": before}


ADDED_LATER = added_later(None)


def fingerprint(spec: object) -> str:
    """The sha256 of `canonical_json(spec)`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()


def canonical_json(spec: object) -> str:
    """One line of JSON with sorted keys: the same text for equal specs, whatever process writes it.

    `spec` is made of frozen dataclasses, tuples, lists, mappings with string keys, strings, integers, finite floats,
    booleans and None. Raises InputError naming the place of anything else.
    """
    value = _plain(spec, type(spec).__name__)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _plain(value: object, place: str) -> Any:
    # Exact types: a subclass of str, int or float (an enumeration, a NumPy number) may print or compare otherwise.
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return _number(value, place)
    if isinstance(value, list) or type(value) is tuple:
        return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _mapping(value, place)
    if is_dataclass(value) and not isinstance(value, type):
        return _dataclass(value, place)
    raise InputError(f"{place}: cannot fingerprint {_kind(value)}; {_advice(value)}.")


def _number(value: float, place: str) -> float | int:
    if not math.isfinite(value):
        raise InputError(f"{place}: cannot fingerprint {value}; use a finite number, or None where there is none.")
    return int(value) if value.is_integer() and abs(value) <= LARGEST_EXACT_FLOAT else value


def _mapping(value: Mapping[Any, Any], place: str) -> dict[str, Any]:
    for key in value:
        if type(key) is not str or not key:
            raise InputError(
                f"{place}: cannot fingerprint a mapping with the key {key!r}; use non-empty strings as keys."
            )
    return {key: _plain(item, f"{place}[{key!r}]") for key, item in value.items()}


def _dataclass(value: Any, place: str) -> dict[str, Any]:
    kind = type(value)
    if not kind.__dataclass_params__.frozen:
        raise InputError(f"{place}: cannot fingerprint {kind.__name__}, which can change; declare it frozen=True.")
    encoded = {
        field.name: _plain(getattr(value, field.name), f"{place}.{field.name}")
        for field in fields(value)
        if not is_left_out(field, value)
    }
    return {"": kind.__name__, **encoded}


def is_left_out(field: "Field[Any]", owner: object) -> bool:
    """Whether this field of `owner` was added later and has the value that held before."""
    return "added_later" in field.metadata and getattr(owner, field.name) == field.metadata["added_later"]


def _kind(value: object) -> str:
    if isinstance(value, type) or callable(value):
        return f"the callable {getattr(value, '__qualname__', type(value).__name__)!r}"
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "a ")


def _advice(value: object) -> str:
    if isinstance(value, PurePath):
        return "a path is no part of a spec: give the digest of what it holds, or pass it beside the spec"
    if isinstance(value, type) or callable(value):
        return "name it by a string that the code looks up"
    if isinstance(value, (set, frozenset)):
        return "a set has no order: use a sorted tuple"
    if hasattr(value, "__array__"):
        return "use plain numbers (.item(), .tolist()), or the digest of its bytes"
    return "use frozen dataclasses, tuples, mappings, strings, finite numbers, booleans or None"
