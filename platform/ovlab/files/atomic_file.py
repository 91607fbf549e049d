"""Files that are there whole or not at all, whatever kills the process that writes them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` to write to; when the block ends well, what lies there becomes `path`.

    The data reach the disk before the name does, so that even a power cut leaves the old file or the new one. When
    the block raises, `path` stays as it was and the partial file is removed. One writer at a time.
    """
    partial = path.with_name(PARTIAL + path.name)  # keeps the suffix, from which some writers choose a format
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partials(folder: Path) -> None:
    """Remove what a killed writer left in `folder`. No other process may be writing there."""
    for partial in folder.glob(PARTIAL + "*"):
        partial.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
