"""Files that carry the sha256 of their content, so that a changed byte is noticed and never believed.

JSON has it beside the content. A file of another format has it behind its end, where readers of an archive do not look.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from ovlab.specs.errors import InputError

_TRAILER = b"\nsha256 "
_TRAILER_SIZE = len(_TRAILER) + 64


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


def append_seal(path: Path) -> None:
    """Write the sha256 of the file behind its end."""
    seal = _file_seal(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_TRAILER + seal)


def is_sealed(path: Path) -> bool:
    """Whether the file has a seal, as files of before have none. Raises DamagedError for one that is broken."""
    size = path.stat().st_size - _TRAILER_SIZE
    with path.open("rb") as file:
        file.seek(max(size, 0))
        trailer = file.read()
    if not trailer.startswith(_TRAILER):
        return False
    if trailer[len(_TRAILER) :] != _file_seal(path, size):
        raise DamagedError(f"{path}: damaged (its sha256 is not that of its content).")
    return True


def _file_seal(path: Path, size: int) -> bytes:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size and (part := file.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest().encode()


def _seal(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
