"""What each attempt at a run has cost, those that were killed included: attempts/<fingerprint>/<attempt>.json.

An attempt writes only its own file, so that any number of them on any machines need no lock. One that was killed stays
"running" with what it had told last, so its cost is known up to one HEARTBEAT.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.serialization import spec_from_json, spec_to_json
from ovlab.store.record import Attempt

# Seconds between two signs of life.
HEARTBEAT = 30.0

_log = logging.getLogger(__name__)


class OpenAttempt:
    """An attempt under way. Its clock starts when it is made."""

    def __init__(
        self, folder: Folder, fingerprint: str, device: str, num_gpus: int, clock: Callable[[], float]
    ) -> None:
        self.folder, self.clock = folder, clock
        self.started_at = self.told_at = clock()
        now = _now()
        name = f"{now.translate(str.maketrans('', '', '-:'))}-{uuid.uuid4().hex[:8]}"
        self.file = f"{_folder_of(fingerprint)}/{name}.json"
        self.attempt = Attempt(
            id=name,
            began=now,
            updated=now,
            status="running",
            device=device,
            num_gpus=num_gpus,
            seconds=0.0,
            kept_seconds=0.0,
        )
        self._write()

    def keep(self) -> None:
        """Say that everything done so far is kept."""
        seconds = self.clock() - self.started_at
        self.attempt = replace(self.attempt, kept_seconds=seconds)
        self._tell(seconds)

    def beat(self) -> None:
        """Say that the attempt lives; called as often as one likes."""
        if self.clock() - self.told_at >= HEARTBEAT:
            self._tell(self.clock() - self.started_at)

    def end(self, status: Literal["finished", "stopped", "failed"], cause: str | None = None) -> None:
        """Close the books. A finished attempt has kept everything."""
        seconds = self.clock() - self.started_at
        kept = seconds if status == "finished" else self.attempt.kept_seconds
        self.attempt = replace(self.attempt, status=status, cause=cause, kept_seconds=kept)
        self._tell(seconds)

    def _tell(self, seconds: float) -> None:
        self.told_at = self.clock()
        self.attempt = replace(self.attempt, seconds=seconds, updated=_now())
        try:
            self._write()
        except (InputError, OSError) as error:  # the books are not worth the run
            _log.warning("%s: not written (%s).", self.folder.locate(self.file), error)

    def _write(self) -> None:
        self.folder.write(self.file, spec_to_json(self.attempt).encode())


@contextmanager
def attempt(
    folder: Folder, fingerprint: str, *, device: str, num_gpus: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[OpenAttempt]:
    """Keep the books of the block. It ends "finished", or "stopped" or "failed" by what the block raises."""
    begun = OpenAttempt(folder, fingerprint, device, num_gpus, clock)
    try:
        yield begun
    except (Stopped, KeyboardInterrupt) as error:
        begun.end("stopped", str(error) or type(error).__name__)
        raise
    except BaseException as error:
        begun.end("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    if begun.attempt.status == "running":
        begun.end("finished")


def attempts_at(folder: Folder, fingerprint: str) -> tuple[Attempt, ...]:
    """All attempts at a run, the oldest first. One whose file is damaged is named in a warning and left out."""
    names = sorted(folder.sizes(_folder_of(fingerprint)))
    contents = folder.read_existing(f"{_folder_of(fingerprint)}/{name}" for name in names)
    return tuple(_readable(contents, folder))


def _readable(contents: dict[str, bytes], folder: Folder) -> Iterator[Attempt]:
    for name, content in sorted(contents.items()):
        try:
            yield spec_from_json(Attempt, content.decode(), place=folder.locate(name))
        except ValueError as error:
            _log.warning("%s: damaged, left out (%s).", folder.locate(name), error)


def _folder_of(fingerprint: str) -> str:
    return f"attempts/{fingerprint}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
