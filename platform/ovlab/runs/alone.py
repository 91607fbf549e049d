"""One command at a time at a run or a sweep, in whatever folder and on whatever machine it works."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovlab.files.lock import TakenError, locked
from ovlab.store.journal import BEAT_SECONDS, living_attempt
from ovlab.store.journal_file import upload_interval
from ovlab.store.store import Store

_POLL_SECONDS = 1.0


@contextmanager
def alone(store: Store, run: str, name: str, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold `run`, which messages call `name`, against every other command on the store while the block runs.

    A store on this machine has a lock, which the kernel frees when its holder dies; `seconds` is for one that was
    killed and may yet be ending. A bucket has none: there the journal says who is at the run. One who was heard of
    lately is waited for until there is another sign of life, which refuses this command, or so long a silence that
    there is nobody. Two commands that begin at a run of a bucket in the same seconds do not see each other.

    Raises TakenError when somebody is at the run, InputError on a file system without locks, and StoreError where the
    store cannot be made or is gone.
    """
    if not store.folder.is_local:
        _wait_for_silence(store, run, name)
        yield
        return
    store.folder.make()
    with locked(lock_file(store, run), name, seconds=seconds):
        yield


def lock_file(store: Store, run: str) -> Path:
    """In a store on this machine: what is held by whoever makes the run."""
    return Path(store.folder.uri.removeprefix("file://")) / "locks" / f"{run}.lock"


def _wait_for_silence(store: Store, run: str, name: str) -> None:
    # A beat is sent with the next upload, which may take its time.
    silence = BEAT_SECONDS + 2 * upload_interval()
    first = other = living_attempt(store, run, silence)
    while first is not None and other is not None:
        if (other.id, other.last_sign) != (first.id, first.last_sign):
            host = other.host or "an unknown machine"
            raise TakenError(f"{name}: another command, on {host}, is at it, as the journal says. Wait for it.")
        time.sleep(_POLL_SECONDS)
        other = living_attempt(store, run, silence)
