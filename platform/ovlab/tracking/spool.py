"""Events of runs as JSON lines on the local disk, so that no run depends on a tracking server.

    SPOOL/<run>/events.jsonl     what the run told, in order; every line has "kind" and "time" (ms since 1970)
    SPOOL/<run>/files/           copies of its artifacts
    SPOOL/<run>/<server>.json    how far the events were delivered there (ovlab.tracking.replay)

A line reaches the kernel in one write to a file opened for appending, so that several processes of one machine may
tell about one run, and SIGKILL costs at most the line being written. Each line begins with a line break of its own:
what a killed writer left half written cannot spoil the next line.
"""

import json
import logging
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel

EVENTS = "events.jsonl"
FILES = "files"
_LOG = logging.getLogger(__name__)


class Event(NamedTuple):
    """One line. `end` is the position in the file behind it; a line that is no event has the kind "damaged"."""

    kind: str
    content: dict[str, Any]
    end: int


def process_owner() -> str:
    """A name of this process that no other one has, by which its unfinished runs can be found."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class SpoolTracker:
    """Tells about one run by appending to its file below `folder`.

    Nothing here raises or waits: what cannot be written (a full disk, a value that is no JSON) is counted in
    `num_lost`, and logged once. `owner` is the process whose death ends the run.
    """

    def __init__(self, folder: Path, *, owner: str = "") -> None:
        self.folder = folder
        self.owner = owner
        self.num_lost = 0
        self._run: Path | None = None
        self._file: int | None = None

    def start(self, run: RunHeader) -> None:
        """The attempt is at least one more than those that were told of here."""
        self._open(run)
        self._guard(lambda: self._start(run))

    def join(self, run: RunHeader) -> None:
        self._open(run)
        self._guard(lambda: self._append("join", header=asdict(run)))

    def metrics(self, step: int, values: Mapping[str, float | int]) -> None:
        self._guard(lambda: self._append("metrics", step=int(step), values=_plain_numbers(values)))

    def tags(self, values: Mapping[str, str]) -> None:
        self._guard(lambda: self._append("tags", values={key: str(value) for key, value in values.items()}))

    def artifact(self, path: Path, folder: str = "") -> None:
        def keep() -> None:
            if self._run is None:
                raise OSError("no run was started")
            copy = Path(FILES, uuid.uuid4().hex, path.name)
            (self._run / copy).parent.mkdir(parents=True)
            shutil.copyfile(path, self._run / copy)
            self._append("artifact", file=copy.as_posix(), folder=folder)

        self._guard(keep)

    def table(self, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        def keep() -> None:
            self._append("table", name=name, columns={key: _plain_cells(values) for key, values in columns.items()})

        self._guard(keep)

    def dataset(self, dataset: TrackedDataset) -> None:
        self._guard(lambda: self._append("dataset", dataset=asdict(dataset)))

    def model(self, model: TrackedModel) -> None:
        self._guard(lambda: self._append("model", model=asdict(model)))

    def heartbeat(self) -> None:
        self._guard(lambda: self._append("heartbeat"))

    def end(self, status: Status, reason: str = "") -> None:
        self._guard(lambda: self._append("end", status=status, reason=reason))

    def _open(self, run: RunHeader) -> None:
        def open_file() -> None:
            if self._file is not None:
                os.close(self._file)
                self._file = None
            self._run = self.folder / run.run
            self._run.mkdir(parents=True, exist_ok=True)
            self._file = _open_events(self._run)

        self._guard(open_file)

    def _start(self, run: RunHeader) -> None:
        folder = self.folder / run.run
        is_new = (folder / EVENTS).stat().st_size == 0
        before = 0 if is_new else sum(event.kind == "start" for event in read_events(folder))
        header = replace(run, attempt=max(run.attempt, before + 1))
        self._append("start", header=asdict(header), owner=self.owner)

    def _append(self, kind: str, **content: Any) -> None:
        if self._file is None:
            raise OSError("no run was started")
        _write(self._file, kind, content)

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever it is, it may not reach the training
            self.num_lost += 1
            if self.num_lost == 1:
                _LOG.warning("%s: cannot keep what the run tells (%s); it goes on without.", self.folder, error)


def append_event(run: Path, kind: str, **content: Any) -> None:
    """Add an event to the folder of a run, for another process than its own. Raises OSError."""
    file = _open_events(run)
    try:
        _write(file, kind, content)
    finally:
        os.close(file)


def spooled_runs(folder: Path) -> list[Path]:
    """The folders of the runs below `folder`, sorted."""
    return sorted(path.parent for path in folder.glob(f"*/{EVENTS}"))


def read_events(run: Path, start: int = 0) -> Iterator[Event]:
    """The whole lines behind position `start`. A last line without its end waits for the next call."""
    end = start
    with (run / EVENTS).open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            if line.strip():
                yield _parse(line, end)


def _parse(line: bytes, end: int) -> Event:
    try:
        content = json.loads(line)
        return Event(content["kind"], content, end)
    except (ValueError, KeyError, TypeError):
        return Event("damaged", {}, end)


def _open_events(run: Path) -> int:
    return os.open(run / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _write(file: int, kind: str, content: Mapping[str, Any]) -> None:
    event = {"kind": kind, "time": time.time_ns() // 1_000_000, **content}
    line = b"\n" + json.dumps(event, ensure_ascii=False).encode() + b"\n"
    if os.write(file, line) != len(line):
        raise OSError("the disk took only a part of the line")


def _plain_cells(values: Sequence[object]) -> list[object]:
    """The cells of a column; None for a float that JSON has no form for."""
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]


def _plain_numbers(values: Mapping[str, float | int]) -> dict[str, float | str]:
    """Floats; those that JSON has no form for, as text that `float` reads."""
    numbers = {key: float(value) for key, value in values.items()}
    return {key: value if math.isfinite(value) else str(value) for key, value in numbers.items()}
