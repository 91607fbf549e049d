"""Whole files on this machine from any number of writers at once; ovlab.files.atomic_file is for one writer."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A file appears under its name only when it is whole; until then it carries this ending.
PARTIAL = ".partial"


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` that no other writer has; what lies there at the end becomes `path`."""
    with _partial_of(path) as partial:
        yield partial
        _sync(partial)
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
    return True


@contextmanager
def _partial_of(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
