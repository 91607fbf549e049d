"""A spec seen as dotted names and plain values, and how two specs differ."""

from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One value that two specs do not share. A name that only one of them has counts as None in the other."""

    name: str
    before: object
    after: object


def leaves(spec: Any, prefix: str = "") -> dict[str, object]:
    """Every value of nested dataclasses under its dotted name, in the order of declaration."""
    found: dict[str, object] = {}
    for field in fields(spec):
        name, value = f"{prefix}{field.name}", getattr(spec, field.name)
        if is_dataclass(value):
            found |= leaves(value, f"{name}.")
        else:
            found[name] = value
    return found


def differences(before: Any, after: Any) -> tuple[Difference, ...]:
    """The values in which two specs of one class differ, in the order of declaration."""
    old, new = leaves(before), leaves(after)
    names = old | new
    return tuple(Difference(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))
