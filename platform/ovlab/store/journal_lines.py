"""An event of a run as a line of its journal: the CRC-32 of the rest, and JSON with its time and kind.

    5f0c31aa {"time":1767323045.25,"kind":"checkpoint","step":500}

A number that JSON has no form for is the text "NaN", "Infinity" or "-Infinity".
"""

import io
import zlib
from typing import Any, NamedTuple, get_args

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError, from_json, to_json

from ovlab.specs.events import Event

# In the year 5138: what is beyond it is no time.
_LAST_TIME = 1e11
_CONFIG = ConfigDict(extra="forbid", ser_json_inf_nan="strings")
_KINDS: dict[str, type] = {kind.__name__.lower(): kind for kind in get_args(Event)}
# A configuration can be given for a union, not for a dataclass.
_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(kind | None, config=_CONFIG)  # type: ignore[arg-type]
    for name, kind in _KINDS.items()
}


class Line(NamedTuple):
    """`time` is in seconds since 1970; `end` is the position behind the line in its file."""

    time: float
    event: Event
    end: int


def pack_line(event: Event, time: float) -> bytes:
    """The line, with its line break. Raises PydanticSerializationError for what JSON cannot hold."""
    kind = type(event).__name__.lower()
    try:
        fields = _ADAPTERS[kind].dump_json(event)
    except (PydanticSerializationError, UnicodeEncodeError):
        fields = to_json(_readable(_ADAPTERS[kind].dump_python(event, warnings=False)), inf_nan_mode="strings")
    return seal(f'{{"time":{time!r},"kind":"{kind}",'.encode() + fields[1:])


def unpack_lines(content: bytes) -> tuple[list[Line], list[int]]:
    """The events of a file, and the numbers, from 1, of the lines that are none of this version.

    Empty lines are passed over, and so is a last one without its end: that may still come.
    """
    lines: list[Line] = []
    damaged: list[int] = []
    end = 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        end += len(line)
        if line == b"\n" or not line.endswith(b"\n"):
            continue
        try:
            lines.append(_unpack(line, end))
        except (ValueError, KeyError, TypeError):
            damaged.append(number)
    return lines, damaged


def unpack_event(kind: str, fields: Any) -> Any:
    """The event with these fields. Raises ValueError where one is missing, unknown or of another type."""
    if kind not in _ADAPTERS or not isinstance(fields, dict):
        raise ValueError("no event")
    return _ADAPTERS[kind].validate_python(fields)


def seal(content: bytes) -> bytes:
    """`content` as a line that tells whether it was changed."""
    return b"%08x %s\n" % (zlib.crc32(content), content)


def unseal(line: bytes) -> bytes:
    """What was given to `seal`. Raises ValueError for any other line."""
    content = line[9:-1]
    if seal(content) != line:
        raise ValueError("damaged")
    return content


def _readable(value: Any) -> Any:
    """The same, with a question mark for each byte of a file name or command that is no text."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return value


def _unpack(line: bytes, end: int) -> Line:
    fields = from_json(unseal(line))
    if not isinstance(fields, dict):
        raise ValueError("no event")
    time, kind = fields.pop("time"), fields.pop("kind")
    if type(time) not in (int, float) or not 0 <= time < _LAST_TIME:
        raise ValueError("no time")
    return Line(float(time), unpack_event(kind, fields), end)
