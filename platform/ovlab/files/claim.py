"""One process of a machine at a time makes a run, and one the runs of a table."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovlab.specs.errors import InputError


@contextmanager
def claimed(file: Path, what: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` while the block runs. The kernel frees that of a process that died.

    Raises InputError naming `what` when another process still has it after `seconds`, in which one that was killed may
    yet be ending.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + seconds
    with file.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise InputError(f"{what}: another process is at it in {file.parent}. Wait for it.") from None
                time.sleep(0.2)
            else:
                break
        yield
