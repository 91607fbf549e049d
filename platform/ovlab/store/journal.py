"""The journal of a run: what it told, in order, whatever became of the processes that told it.

    journals/<run>/<attempt>.<writer>.jsonl    the events of one writer, a line each, only ever appended to

An attempt is named by the time at which it began. Any number of processes on any machines may tell about it, each in a
file of its own; they are read by their times. Nothing that is damaged stops anyone: a line that is no event is left
out, and named in one warning a file.
"""

import heapq
import io
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
from pydantic_core import from_json

from ovlab.files.inside import inside
from ovlab.specs.errors import InputError
from ovlab.specs.events import Beat, Begun, Ended, Event, RunHeader, Started, Status, Step, Validated
from ovlab.specs.plain_name import is_plain
from ovlab.specs.wording import one_line
from ovlab.store.journal_file import BucketFile, LocalFile, new_writer, send_left, upload_interval
from ovlab.store.journal_lines import pack_line, unpack_event, unpack_lines
from ovlab.store.store import Store, training_folder

BEAT_SECONDS = 15.0
# Silence after which an attempt is taken for dead: many beats, since a machine under load misses some.
STALE_SECONDS = 300.0

_JOURNALS = "journals"
# In the folder of a training: the updates, as older versions told them.
_STEP_LOG = "steps.jsonl"
_FILE = re.compile(r"(\d{8}T\d{12}Z-[0-9a-f]{8})\.([0-9a-f]{8})\.jsonl")
# The kernel tells when a process began to a hundredth of a second, the clock may be set meanwhile.
_SAME_PROCESS_SECONDS = 2.0

_log = logging.getLogger(__name__)
_named: set[tuple[str, str]] = set()


class Journal:
    """Tells about one attempt at a run: made by `open_journal`. A thread beats, so that the attempt is known to live.

    Nothing here raises: what cannot be written (a full disk, a number of numpy) is counted in `num_lost`, and the
    first is named in a warning.
    """

    def __init__(self, store: Store, header: RunHeader, attempt: str | None) -> None:
        self.attempt = attempt or f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{new_writer()}"
        self.num_lost = 0
        self._folder, self._run = store.folder, header.run
        self._started = Started(
            header=header,
            host=socket.gethostname(),
            process=psutil.Process().pid,
            process_began=psutil.Process().create_time(),
        )
        # The metrics of the machine of whoever joined stand beside those of the first.
        self._node = None if attempt is None else self._started.host
        self._file: LocalFile | BucketFile | None = None
        self._over = threading.Event()
        upload_interval()
        with self._losing(Exception):  # as in `write`
            self._file = self._open()
        self._beats = threading.Thread(target=self._beat, name="journal beat", daemon=True)
        self._beats.start()

    def write(self, event: Event) -> None:
        """Tell the event, as of now."""
        with self._losing(Exception):  # whatever it is, it may not reach the work
            if self._file is None:
                raise OSError("it is not open")
            self._file.append(pack_line(event, time.time()))

    def flush(self) -> None:
        """Give a sign of life, and wait until all that was told is in the store, or it turns out to be away."""
        self.write(Beat())
        with self._losing(InputError, OSError):
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """Beat no more. What a bucket that is away does not take now is sent by the next process of this machine."""
        self._over.set()
        self._beats.join()
        file, self._file = self._file, None
        with self._losing(InputError, OSError):
            if file is not None:
                file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _open(self) -> LocalFile | BucketFile:
        def name() -> str:
            return f"{_folder_of(self._run)}/{self.attempt}.{new_writer()}.jsonl"

        def opening() -> bytes:
            return pack_line(self._started, time.time())

        if not self._folder.is_local:
            return BucketFile(self._folder, name, opening)
        self._folder.make()
        file = LocalFile(inside(Path(self._folder.uri.removeprefix("file://")), name()))
        file.append(opening())
        return file

    def _beat(self) -> None:
        # A third of a second, which nobody should wait for.
        from ovlab.store.system_metrics import SystemMetrics

        if self._file is not None and not self._folder.is_local:
            try:
                send_left(self._folder)
            except (InputError, OSError) as error:
                _log.warning("%s: what a killed process left is not sent (%s)", self._folder, error)
        measure = SystemMetrics(self._node)
        while not self._over.wait(BEAT_SECONDS):
            self.write(Beat(metrics=measure()))

    @contextmanager
    def _losing(self, *errors: type[Exception]) -> Iterator[None]:
        try:
            yield
        except errors as error:
            self.num_lost += 1
            if self.num_lost == 1:
                place = self._folder.locate(_folder_of(self._run))
                _log.warning("%s: cannot keep what the run tells (%s); it goes on without.", place, one_line(error))


def open_journal(store: Store, header: RunHeader, *, attempt: str | None = None) -> Journal:
    """Begin an attempt at a run, or join one that another process began. Use it as a context manager.

    What is told is in a store on this machine at once; in a bucket after $OVLAB_JOURNAL_INTERVAL seconds (30), and on
    `flush` and `close`. Raises InputError for another value of that.
    """
    return Journal(store, header, attempt)


class Told(NamedTuple):
    """An event of an attempt. `time` is in seconds since 1970. `end` is the position behind it in the file `file` of
    the run's folder. `by_itself`: by a process of the attempt, and not by one that found it dead."""

    time: float
    event: Event
    file: str
    end: int
    by_itself: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptLog:
    """What was told of one attempt, in order."""

    id: str
    events: tuple[Told, ...]

    @property
    def header(self) -> RunHeader | None:
        """None where the lines that tell it are damaged."""
        return next((told.event.header for told in self.events if isinstance(told.event, Started)), None)

    @property
    def host(self) -> str:
        """The machine of the process that began it; empty where the lines that tell it are damaged."""
        return next((told.event.host for told in self.events if isinstance(told.event, Started)), "")

    @property
    def began(self) -> float:
        """In seconds since 1970, by the clock of the machine."""
        return datetime.strptime(self.id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC).timestamp()

    @property
    def last_sign(self) -> float:
        """When one of its processes was last heard of."""
        return next((told.time for told in reversed(self.events) if told.by_itself), self.began)

    @property
    def ended(self) -> Ended | None:
        """How it ended; None for one under way. What it said itself stands; what another process said, for as long as
        it is not heard of again."""
        by_another = None
        for told in self.events:
            if isinstance(told.event, Ended):
                if told.by_itself:
                    return told.event
                by_another = told.event
            elif told.by_itself:
                by_another = None
        return by_another


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLog:
    """The attempts at a run, the oldest first."""

    run: str
    attempts: tuple[AttemptLog, ...]

    @property
    def header(self) -> RunHeader | None:
        """That of the last attempt that has one."""
        return next((attempt.header for attempt in reversed(self.attempts) if attempt.header is not None), None)

    @property
    def events(self) -> Iterator[Told]:
        """Of all attempts, one after the other."""
        return (told for attempt in self.attempts for told in attempt.events)


class RunStatus(NamedTuple):
    """How a run stands, by its last attempt, which has the number `attempt`, from 1. `last_sign`: when its processes
    were last heard of, in seconds since 1970."""

    status: Literal["RUNNING"] | Status
    reason: str
    last_sign: float
    attempt: int


def journaled_runs(store: Store) -> list[str]:
    """The runs that have a journal, sorted."""
    return [run for run in store.folder.folders(_JOURNALS) if is_plain(run)]


def journal_sizes(store: Store, run: str) -> dict[str, int]:
    """Bytes of each file of a journal."""
    sizes = store.folder.sizes(_folder_of(run))
    return {name: size for name, size in sizes.items() if _FILE.fullmatch(name)}


def read_journal(store: Store, run: str) -> RunLog:
    """What was told of a run until now. What is damaged is named in a warning and left out."""
    folder = store.folder
    for name in folder.sizes(_folder_of(run)):
        if name.endswith(".jsonl") and not _FILE.fullmatch(name):
            _name_damage(folder.locate(f"{_folder_of(run)}/{name}"), "not the name of a journal")
    contents = folder.read_existing(f"{_folder_of(run)}/{name}" for name in journal_sizes(store, run))
    files: dict[str, list[list[Told]]] = {}
    for path, content in sorted(contents.items()):
        name = path.rpartition("/")[2]
        attempt = name.partition(".")[0]
        files.setdefault(attempt, []).append(_told_in(name, content, folder.locate(path), run))
    return RunLog(
        run=run,
        attempts=tuple(
            AttemptLog(id=attempt, events=tuple(heapq.merge(*told, key=lambda one: one.time)))
            for attempt, told in sorted(files.items())
        ),
    )


def status_of(log: RunLog) -> RunStatus:
    """How the run stands. An attempt that is heard of after another process ended it is RUNNING again."""
    if not log.attempts:
        return RunStatus("KILLED", "its journal is empty", 0.0, 0)
    last = log.attempts[-1]
    ended = last.ended
    if ended is None:
        return RunStatus("RUNNING", "", last.last_sign, len(log.attempts))
    return RunStatus(ended.status, ended.reason, last.last_sign, len(log.attempts))


def curve_of(log: RunLog) -> list[Step]:
    """The updates of a training, each once, in order, up to the last: those told again count as told last."""
    steps: dict[int, Step] = {}
    last = 0
    for told in log.events:
        match told.event:
            case Begun(work="training", num_done=known) | Step(step=known):
                if known < last:
                    steps = {number: step for number, step in steps.items() if number <= known}
                if isinstance(told.event, Step):
                    steps[known] = told.event
                last = known
    return [steps[number] for number in sorted(steps)]


def validations_of(log: RunLog) -> list[Validated]:
    """The scores of a training on the way, in order; those of an update that was made again as told last, and only
    those that are on the same images as the last."""
    told = [one.event for one in log.events if isinstance(one.event, Validated)]
    by_step = {one.step: one for one in told if one.images == told[-1].images}
    return [by_step[step] for step in sorted(by_step)]


def read_curve(store: Store, run: str) -> list[Step]:
    """`curve_of` the journal, and what an older version logged of the updates before it."""
    name = f"{training_folder(run)}/{_STEP_LOG}"
    logged: dict[int, Step] = {}
    for number, line in enumerate(io.BytesIO(store.folder.read_existing([name]).get(name, b"")), start=1):
        try:
            step = unpack_event("step", from_json(line))
            logged[step.step] = step
        except ValueError:
            if line.endswith(b"\n"):
                _name_damage(store.folder.locate(name), f"line {number} is no update; left out")
    told = curve_of(read_journal(store, run))
    return [logged[number] for number in sorted(logged) if not told or number < told[0].step] + told


def end_silent(store: Store, run: str, *, stale_after: float = STALE_SECONDS) -> str | None:
    """End the attempts at a run that are RUNNING but whose processes are no more: as KILLED, with the reason that is
    returned; None where there is no such attempt.

    A process of this machine is looked for; any other is taken for dead after `stale_after` seconds of silence. Raises
    InputError where the store cannot be written.
    """
    reason = None
    for attempt in read_journal(store, run).attempts:
        why = why_dead(attempt, stale_after)
        if why is not None:
            line = pack_line(Ended(status="KILLED", reason=why), time.time())
            store.folder.write(f"{_folder_of(run)}/{attempt.id}.{new_writer()}.jsonl", line)
            reason = why
    return reason


def living_attempt(store: Store, run: str, stale_after: float = STALE_SECONDS) -> AttemptLog | None:
    """The last attempt at a run that is under way and may live; None where there is none."""
    attempts = reversed(read_journal(store, run).attempts)
    return next((one for one in attempts if one.ended is None and why_dead(one, stale_after) is None), None)


def why_dead(attempt: AttemptLog, stale_after: float = STALE_SECONDS) -> str | None:
    """Why an attempt that is RUNNING must be dead; None for one that may live, and for one that was ended."""
    if attempt.ended is not None:
        return None
    processes = [told.event for told in attempt.events if isinstance(told.event, Started)]
    if processes and not any(_may_live(process) for process in processes):
        return "the process of the run ended without saying how (killed, or the machine went down)"
    silence = time.time() - attempt.last_sign
    return f"no sign of life for {silence:.0f} s" if silence > stale_after else None


def _may_live(process: Started) -> bool:
    if process.host != socket.gethostname():
        return True
    try:
        found = psutil.Process(process.process)
        is_same = process.process_began is None or (
            abs(found.create_time() - process.process_began) < _SAME_PROCESS_SECONDS
        )
        return is_same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _told_in(name: str, content: bytes, place: str, run: str) -> list[Told]:
    lines, damaged = unpack_lines(content)
    if any(isinstance(line.event, Started) and line.event.header.run != run for line in lines):
        _name_damage(place, "tells of another run; left out")
        return []
    if damaged:
        numbers = ", ".join(map(str, damaged[:3])) + ", ..." * (len(damaged) > 3)
        _name_damage(place, f"no event of this version in line {numbers}; left out")
    # Whoever finds an attempt dead writes nothing but its end.
    by_itself = any(not isinstance(line.event, Ended) for line in lines)
    return [Told(line.time, line.event, name, line.end, by_itself) for line in lines]


def _name_damage(place: str, damage: str) -> None:
    if (place, damage) not in _named:
        _named.add((place, damage))
        _log.warning("%s: %s.", place, damage)


def _folder_of(run: str) -> str:
    return f"{_JOURNALS}/{run}"
