"""The file that one writer of a journal appends to: in a store on this machine directly, in a bucket by way of a copy.

A line reaches the kernel in one write to a file opened for appending, so that SIGKILL costs at most the line being
written. Nothing here waits for a network but `flush` and `close`.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ovlab.files.cache import cache_folder
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

# Of a file in a bucket: what is added to it means that it is sent again.
MAX_BYTES = 1 << 20
ENVIRONMENT = "OVLAB_JOURNAL_INTERVAL"
DEFAULT_INTERVAL = 30.0
# A run is taken for dead after five minutes.
_LONGEST_INTERVAL = 120.0

_log = logging.getLogger(__name__)


def new_writer() -> str:
    """Eight hexadecimal digits that no other writer of the attempt has."""
    return uuid.uuid4().hex[:8]


def upload_interval() -> float:
    """Seconds between two uploads to a bucket: $OVLAB_JOURNAL_INTERVAL. Raises InputError for another value."""
    text = os.environ.get(ENVIRONMENT, str(DEFAULT_INTERVAL))
    try:
        interval = float(text)
    except ValueError:
        interval = 0.0
    if not 0 < interval <= _LONGEST_INTERVAL:
        raise InputError(f"{ENVIRONMENT} must be seconds above 0 and at most {_LONGEST_INTERVAL:.0f}, got {text!r}.")
    return interval


class LocalFile:
    """In a store on this machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._is_torn = False

    def append(self, line: bytes) -> None:
        """Raises OSError where the disk does not take all of it; the next line begins anew."""
        whole = b"\n" * self._is_torn + line
        self._is_torn = True
        if os.write(self._file, whole) != len(whole):
            raise OSError("the disk took only a part of the line")
        self._is_torn = False

    def flush(self) -> None:
        """Wait until every line is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def hold(self) -> None:
        """Keep other processes from taking it for left behind, until it is closed or the process ends."""
        fcntl.flock(self._file, fcntl.LOCK_EX)


@dataclass(slots=True)
class _Copy:
    name: str
    file: LocalFile
    num_sent: int = 0


class BucketFile:
    """In a bucket, sent by a thread every `upload_interval` seconds. A file that has grown long is followed by another,
    which begins with the line that `opening` gives.

    What a killed process left in the cache folder is sent by `send_left`.
    """

    def __init__(self, folder: Folder, name: Callable[[], str], opening: Callable[[], bytes]) -> None:
        self.folder, self._name, self._opening = folder, name, opening
        self._interval = upload_interval()
        self._sending, self._appending = threading.Lock(), threading.Lock()
        self._over = threading.Event()
        self._copies: list[_Copy] = []
        self._begin()
        self._thread = threading.Thread(target=self._send_now_and_then, name="journal upload", daemon=True)
        self._thread.start()

    def append(self, line: bytes) -> None:
        with self._appending:
            self._copies[-1].file.append(line)

    def flush(self) -> None:
        """Send what is new. Raises InputError or OSError when the bucket does not take it."""
        with self._sending:
            for copy in self._copies[:]:
                content = copy.file.path.read_bytes()
                if len(content) > copy.num_sent:
                    self.folder.write(copy.name, content)
                    copy.num_sent = len(content)
                if copy is not self._copies[-1]:
                    self._end(copy)
                elif len(content) > MAX_BYTES:
                    self._begin()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        try:
            self.flush()
            for copy in self._copies[:]:
                self._end(copy)
        finally:
            for copy in self._copies:
                copy.file.close()

    def _begin(self) -> None:
        name = self._name()
        file = LocalFile(_copies_of(self.folder) / name)
        file.hold()
        file.append(self._opening())
        with self._appending:
            self._copies.append(_Copy(name, file))

    def _end(self, copy: _Copy) -> None:
        copy.file.path.unlink(missing_ok=True)
        copy.file.close()
        self._copies.remove(copy)

    def _send_now_and_then(self) -> None:
        is_away = False
        while not self._over.wait(self._interval):
            try:
                self.flush()
                is_away = False
            except (InputError, OSError) as error:
                if not is_away:
                    _log.warning("%s: what runs tell is not sent, to be tried again (%s)", self.folder, error)
                is_away = True


def send_left(folder: Folder) -> None:
    """Send what killed processes of this machine have left. Raises InputError or OSError when the bucket is away."""
    copies = _copies_of(folder)
    for path in sorted(copies.rglob("*.jsonl")):
        with _abandoned(path) as is_abandoned:
            if is_abandoned:
                folder.write(path.relative_to(copies).as_posix(), path.read_bytes())
                path.unlink()


@contextlib.contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path.exists()
    except BlockingIOError:
        yield False
    finally:
        os.close(file)


def _copies_of(folder: Folder) -> Path:
    return cache_folder() / "journals" / hashlib.sha256(folder.uri.rstrip("/").encode()).hexdigest()[:16]
