"""From the spool to a tracking server, each event once.

How far a run was delivered is kept beside its events and moves on only after the server took them. A process that dies
in between delivers a few events twice, which changes nothing there: runs are found by a tag, a metric is its name,
step, time and value, and everything else overwrites itself.
"""

import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ovlab.files.whole_file import write_text
from ovlab.tracking.spool import EVENTS, Event, read_events, spooled_runs
from ovlab.tracking.spooled_state import read_header
from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel

_LOCK = ".replay-lock"
# Events taken together: their metrics go to the server in few requests, and a crash repeats at most so many.
_CHUNK = 500
_LOG = logging.getLogger(__name__)


class Unavailable(Exception):
    """The server cannot be asked now; the same events are for a later time."""


class Refused(Exception):
    """The server will never take this event."""


class MetricPoint(NamedTuple):
    """`time` is in ms since 1970."""

    key: str
    value: float
    time: int
    step: int


@runtime_checkable
class Server(Protocol):
    """A tracking server. Runs are named by the server's own ids. Raises Unavailable or Refused, and nothing else."""

    uri: str

    def answers(self) -> bool: ...

    def start(self, run: RunHeader, time: int) -> str: ...

    def join(self, run: RunHeader) -> str: ...

    def metrics(self, id: str, points: Sequence[MetricPoint]) -> None: ...

    def tags(self, id: str, values: Mapping[str, str]) -> None: ...

    def heartbeat(self, id: str, time: int) -> None: ...

    def artifact(self, id: str, path: Path, folder: str) -> None: ...

    def table(self, id: str, name: str, columns: Mapping[str, Sequence[object]]) -> None: ...

    def dataset(self, id: str, dataset: TrackedDataset) -> None: ...

    def model(self, id: str, model: TrackedModel) -> None: ...

    def end(self, id: str, status: Status, reason: str, time: int, *, reaped: bool) -> None: ...


@dataclass(slots=True)
class ReplayReport:
    """What a replay did. `num_waiting` events are still to come: the server was not there, and `problem` says why."""

    num_delivered: int = 0
    num_refused: int = 0
    num_damaged: int = 0
    num_waiting: int = 0
    problem: str | None = None


class _Cursor(NamedTuple):
    position: int = 0
    id: str | None = None


def replay(spool: Path, server: Server, *, again: bool = False) -> ReplayReport:
    """Deliver what `server` does not have yet; with `again`, everything from the beginning. Never raises Unavailable.

    One process at a time may replay a spool: see `replay_lock`.
    """
    report = ReplayReport()
    cursors = {run: _Cursor() if again else _read_cursor(run, server.uri) for run in spooled_runs(spool)}
    behind = [run for run, cursor in cursors.items() if (run / EVENTS).stat().st_size > cursor.position]
    for run in _parents_first(behind):
        try:
            _replay_run(run, server, report, cursors[run])
        except Unavailable as error:
            report.problem = str(error)
            # Asked for each run, a server that is away would take its time-out each time.
            if not server.answers():
                break
    report.num_waiting = num_waiting(spool, server.uri)
    return report


def num_waiting(spool: Path, uri: str) -> int:
    """The events that the server at `uri` does not have yet."""
    return sum(1 for run in spooled_runs(spool) for _ in read_events(run, _read_cursor(run, uri).position))


def delivered_id(spool: Path, run: str, uri: str) -> str | None:
    """The id of a run on the server at `uri`, or None when it was not delivered there yet."""
    return _read_cursor(spool / run, uri).id


@contextmanager
def replay_lock(spool: Path, wait: float = 0.0) -> Iterator[bool]:
    """Yield whether this process may replay: not when another one still does after `wait` seconds.

    The kernel frees the lock of a process that died.
    """
    deadline = time.monotonic() + wait
    spool.mkdir(parents=True, exist_ok=True)
    with (spool / _LOCK).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.1)
            else:
                break
        yield True


def _replay_run(run: Path, server: Server, report: ReplayReport, cursor: _Cursor) -> None:
    events: list[Event] = []
    for event in read_events(run, cursor.position):
        events.append(event)
        if len(events) == _CHUNK:
            cursor = _deliver(run, events, server, report, cursor)
            events = []
    if events:
        _deliver(run, events, server, report, cursor)


def _deliver(run: Path, events: list[Event], server: Server, report: ReplayReport, cursor: _Cursor) -> _Cursor:
    for kind, group in groupby(events, key=lambda event: event.kind):
        alike = list(group)
        for together in [alike] if kind in ("metrics", "heartbeat") else [[event] for event in alike]:
            try:
                cursor = cursor._replace(id=_send(run, kind, [event.content for event in together], server, cursor.id))
                report.num_delivered += len(together)
            except (Refused, KeyError, TypeError, ValueError) as error:
                # An event that cannot be taken must not hold up those behind it.
                _LOG.warning("%s: %s left out: %s", run.name, kind, error)
                report.num_damaged += len(together) * (kind == "damaged")
                report.num_refused += len(together) * (kind != "damaged")
            cursor = cursor._replace(position=together[-1].end)
            _write_cursor(run, server.uri, cursor)
    return cursor


def _send(run: Path, kind: str, contents: list[dict[str, Any]], server: Server, id: str | None) -> str:
    last = contents[-1]
    if kind == "start":
        return server.start(read_header(last), last["time"])
    if kind == "join":
        return server.join(read_header(last))
    if id is None:
        raise Refused("nothing before it says which run it belongs to")
    match kind:
        case "metrics":
            server.metrics(id, [point for content in contents for point in _points(content)])
        case "tags":
            server.tags(id, last["values"])
        case "heartbeat":
            server.heartbeat(id, last["time"])
        case "artifact":
            server.artifact(id, run / last["file"], last["folder"])
        case "table":
            server.table(id, last["name"], last["columns"])
        case "dataset":
            server.dataset(id, TrackedDataset(**last["dataset"]))
        case "model":
            server.model(id, TrackedModel(**{**last["model"], "class_names": tuple(last["model"]["class_names"])}))
        case "end":
            server.end(id, last["status"], last["reason"], last["time"], reaped=last.get("reaped", False))
        case _:
            raise Refused("no event of this version")
    return id


def _points(content: dict[str, Any]) -> list[MetricPoint]:
    return [
        MetricPoint(key, float(value), content["time"], content["step"]) for key, value in content["values"].items()
    ]


def _parents_first(runs: list[Path]) -> list[Path]:
    """A child can only be put under a parent that the server knows."""
    parents = {run.name: parent for run in runs if (parent := _parent(run)) is not None}

    def depth(name: str, seen: int = 0) -> int:
        return 1 + depth(parents[name], seen + 1) if name in parents and seen < len(parents) else 0

    return sorted(runs, key=lambda run: depth(run.name))


def _parent(run: Path) -> str | None:
    for event in read_events(run):
        if event.kind in ("start", "join"):
            return event.content["header"].get("parent")
    return None


def _cursor_file(run: Path, uri: str) -> Path:
    return run / f"{hashlib.sha256(uri.encode()).hexdigest()[:12]}.json"


def _read_cursor(run: Path, uri: str) -> _Cursor:
    try:
        content = json.loads(_cursor_file(run, uri).read_text())
        return _Cursor(content["position"], content["id"])
    except (OSError, ValueError, KeyError):
        return _Cursor()


def _write_cursor(run: Path, uri: str, cursor: _Cursor) -> None:
    write_text(_cursor_file(run, uri), json.dumps(cursor._asdict()))
