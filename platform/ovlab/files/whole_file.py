"""Files that are there whole or not at all, whatever kills their writers, and however many of them there are.

The data reach the disk before the name does, so that even a power cut leaves the old file, the new one, or none.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What a file's name ends with until the file is whole.
PARTIAL = ".partial"
# Only our own are swept: a browser's unfinished downloads end so too.
_OURS = "*." + "[0-9a-f]" * 32 + PARTIAL


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` that no other writer has; what lies there at the end becomes `path`.

    The folder is made. When the block raises, `path` stays as it was.
    """
    with _partial_of(path) as partial:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`."""
    with writing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_unsynced(path: Path, content: bytes) -> None:
    """Replace `path` by `content` without waiting for the disk, where a power cut may cost what can be made again."""
    with _partial_of(path) as partial:
        partial.write_bytes(content)
        partial.replace(path)


def create(path: Path, content: bytes) -> bool:
    """Write `path` unless it is there, and say whether this call did: of several writers at once, one gets True."""
    if path.exists():
        return False
    with _partial_of(path) as partial:
        partial.write_bytes(content)
        _sync(partial)
        try:
            os.link(partial, path)  # the one way to a name that is atomic and fails when the name is taken
        except FileExistsError:
            return False
        _sync(path.parent)
    return True


def remove_partials(folder: Path) -> None:
    """Remove what killed writers left in `folder` and below. No other process may be writing there."""
    for partial in folder.rglob(_OURS):
        partial.unlink(missing_ok=True)


@contextmanager
def _partial_of(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        yield partial
    except (OSError, RuntimeError) as error:
        # torch says of a full disk that it is at an unexpected position.
        fault = error.__context__ if type(error) is RuntimeError else error
        if not isinstance(fault, OSError):
            raise
        # A full disk is told by write, which knows no name.
        if fault.errno is not None and fault.filename in (None, str(partial)):
            fault.filename = str(path)
        raise fault from fault.__cause__
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
