"""The sha256 of files, remembered between runs by what the file system says of them, so that asking again is fast.

The memory is a file in the cache folder for each list of files; without it, or where it is damaged, all are read.
"""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ovlab.files.cache import digests_cache_folder
from ovlab.files.sealed import DamagedError, pack_sealed, unpack_sealed
from ovlab.files.whole_file import write_unsynced

FORMAT = "ovlab-digests-1"
# What was written just now may be written again within one tick of the file system's clock.
_SETTLED_SECONDS = 2.0


def content_digests(paths: Sequence[Path]) -> list[str]:
    """64 hexadecimal digits for each file, in order. Raises OSError for one that cannot be read."""
    now = time.time()
    names = hashlib.sha256("\n".join(map(str, paths)).encode(errors="surrogateescape")).hexdigest()
    memory = digests_cache_folder() / f"{names[:32]}.json"
    known = _remembered(memory)
    states = [_state(path) for path in paths]
    unknown = {state: path for state, path in zip(states, paths, strict=True) if state not in known}
    with ThreadPoolExecutor() as pool:
        read = dict(zip(unknown, pool.map(_digest, unknown.values()), strict=True))
    found = known | read
    kept = {
        state: found[state]
        for state, path in zip(states, paths, strict=True)
        if state in known or path.stat().st_mtime < now - _SETTLED_SECONDS
    }
    if kept.keys() != known.keys():
        _remember(memory, kept)
    return [found[state] for state in states]


def _state(path: Path) -> str:
    """What changes with a file: its inode, its size, and when it and its inode were written, in nanoseconds."""
    stat = path.stat()
    return f"{stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered(memory: Path) -> dict[str, str]:
    try:
        return dict(unpack_sealed(FORMAT, memory.read_bytes(), place=str(memory)))
    except (OSError, DamagedError):
        return {}


def _remember(memory: Path, digests: dict[str, str]) -> None:
    try:
        write_unsynced(memory, pack_sealed(FORMAT, digests))
    except OSError:  # a cache that cannot be written to costs time alone
        return
