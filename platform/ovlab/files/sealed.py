"""JSON that carries the sha256 of its content, so that a changed byte is noticed and never believed."""

import hashlib
import json
from typing import Any

from pydantic_core import from_json

from ovlab.specs.errors import InputError


class DamagedError(InputError):
    """What lies there is not what was written there. One line that names the file."""


def pack_sealed(format: str, content: Any) -> bytes:
    """The bytes of a file. Raises ValueError or TypeError for what JSON cannot hold."""
    return (json.dumps({"format": format, "sha256": _seal(content), "record": content}, indent=1) + "\n").encode()


def unpack_sealed(format: str, content: bytes, *, place: str) -> Any:
    """What was given to `pack_sealed`. Raises DamagedError, naming `place`, for any other bytes."""
    try:
        sealed = from_json(content)
        if sealed["format"] != format:
            raise DamagedError(f"{place}: of the format {sealed['format']!r}, not {format!r}.")
        if _seal(sealed["record"]) != sealed["sha256"]:
            raise DamagedError(f"{place}: damaged (its sha256 is not that of its content).")
    except DamagedError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{place}: damaged, not a record of {format} ({type(error).__name__}: {error}).") from None
    return sealed["record"]


def _seal(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
