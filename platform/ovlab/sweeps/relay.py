"""What a run tells in one process, told to a tracker in another: trials tell their driver, which owns their status."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel, Tracker


class Message(NamedTuple):
    """A call of a method of the tracker of one run. It can be pickled."""

    run: str
    method: str
    arguments: tuple[Any, ...]


class RelayTracker:
    """A Tracker that gives every call to `send`, which must neither wait nor raise."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._run = ""

    def start(self, run: RunHeader) -> None:
        self._run = run.run
        self._say("start", run)

    def join(self, run: RunHeader) -> None:
        self._run = run.run
        self._say("join", run)

    def metrics(self, step: int, values: Mapping[str, float | int]) -> None:
        self._say("metrics", step, dict(values))

    def tags(self, values: Mapping[str, str]) -> None:
        self._say("tags", dict(values))

    def artifact(self, path: Path, folder: str = "") -> None:
        # The file may not be there where the message arrives.
        self._say("artifact", path.name, path.read_bytes(), folder)

    def table(self, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        self._say("table", name, dict(columns))

    def dataset(self, dataset: TrackedDataset) -> None:
        self._say("dataset", dataset)

    def model(self, model: TrackedModel) -> None:
        self._say("model", model)

    def heartbeat(self) -> None:
        self._say("heartbeat")

    def end(self, status: Status, reason: str = "") -> None:
        self._say("end", status, reason)

    def _say(self, method: str, *arguments: Any) -> None:
        self._send(Message(self._run, method, arguments))


class Deliveries:
    """Hands each message to the tracker of its run, and knows which runs have begun and not ended."""

    def __init__(self, new_tracker: Callable[[], Tracker]) -> None:
        self._new_tracker = new_tracker
        self._trackers: dict[str, Tracker] = {}
        self._open: dict[str, None] = {}

    def deliver(self, message: Message) -> None:
        if message.run not in self._trackers:
            self._trackers[message.run] = self._new_tracker()
        tracker = self._trackers[message.run]
        match message.method:
            case "start":
                self._open[message.run] = None
            case "end":
                self._open.pop(message.run, None)
        if message.method == "artifact":
            _deliver_file(tracker, *message.arguments)
        else:
            getattr(tracker, message.method)(*message.arguments)

    def abandon(self, reason: str) -> None:
        """End the runs whose process is gone."""
        for run in self._open:
            self._trackers[run].end("KILLED", reason)
        self._open.clear()


def _deliver_file(tracker: Tracker, name: str, content: bytes, folder: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, name)
        path.write_bytes(content)
        tracker.artifact(path, folder)
