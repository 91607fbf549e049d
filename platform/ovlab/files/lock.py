"""One process at a time: in a run folder, at a run, at a table, in the data that are being prepared.

Whoever only reads needs no lock.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ovlab.specs.errors import InputError


class TakenError(InputError):
    """Another process holds the lock."""


@contextmanager
def locked(file: Path, what: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` while the block runs; it stays behind, and locks nothing.

    The kernel frees the lock of a process that died. Raises TakenError naming `what` when another process still holds
    it after `seconds`, in which one that was killed may yet be ending, and InputError where the file system has none.
    """
    # A soft lock, which is what the library would take on a file system without locks, outlives a killed process.
    lock = FileLock(file, timeout=seconds, thread_local=False, fallback_to_soft=False)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock)
        except Timeout:
            raise TakenError(f"{what}: another process is at it and holds {file}. Wait for it.") from None
        except OSError as error:
            raise InputError(f"{what}: {file} cannot be locked ({error.strerror}). Give another folder.") from None
        yield
