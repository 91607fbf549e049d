"""From the spool to a server, each event once, whatever goes wrong on the way. The server is a dictionary."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ovlab.tracking.replay import (
    MetricPoint,
    Refused,
    ReplayReport,
    Unavailable,
    delivered_id,
    num_waiting,
    replay,
    replay_lock,
)
from ovlab.tracking.spool import EVENTS, SpoolTracker
from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel


class Dictionary:
    """A server that keeps calls in order. `answers_left` calls are taken, then it is away."""

    uri = "dictionary"

    def __init__(self, answers_left: float = float("inf")) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers_left = answers_left
        self.refused: set[str] = set()

    def answers(self) -> bool:
        return self.answers_left > 0

    def _call(self, *call: Any) -> None:
        if call[0] in self.refused:
            raise Refused("never")
        if self.answers_left <= 0:
            raise Unavailable("away")
        self.answers_left -= 1
        self.calls.append(call)

    def start(self, run: RunHeader, time: int) -> str:
        self._call("start", run.run, run.attempt)
        return f"id-{run.run}"

    def join(self, run: RunHeader) -> str:
        self._call("join", run.run)
        return f"id-{run.run}"

    def metrics(self, id: str, points: Sequence[MetricPoint]) -> None:
        self._call("metrics", id, [(point.key, point.value, point.step) for point in points])

    def tags(self, id: str, values: Mapping[str, str]) -> None:
        self._call("tags", id, dict(values))

    def heartbeat(self, id: str, time: int) -> None:
        self._call("heartbeat", id)

    def artifact(self, id: str, path: Path, folder: str) -> None:
        self._call("artifact", id, path.read_text(), folder)

    def table(self, id: str, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        self._call("table", id, name, dict(columns))

    def dataset(self, id: str, dataset: TrackedDataset) -> None:
        self._call("dataset", id, dataset)

    def model(self, id: str, model: TrackedModel) -> None:
        self._call("model", id, model)

    def end(self, id: str, status: Status, reason: str, time: int, *, reaped: bool) -> None:
        self._call("end", id, status, reaped)


def tell(spool: Path, run: str = "a", parent: str | None = None, steps: int = 3) -> SpoolTracker:
    tracker = SpoolTracker(spool)
    tracker.start(RunHeader(run=run, name=run, parent=parent))
    for step in range(steps):
        tracker.metrics(step, {"loss": 1 / (step + 1)})
    tracker.tags({"device": "cpu"})
    tracker.end("FINISHED")
    return tracker


def test_replay_delivers_everything_in_order_and_metrics_together(tmp_path: Path) -> None:
    dataset = TrackedDataset(name="d", digest="e", source="s", context="training", num_samples=2)
    model = TrackedModel(weights="w", sha256="s", class_names=("road", "tree"))
    (tmp_path / "note.txt").write_text("a note")
    tracker = SpoolTracker(tmp_path / "spool")
    tracker.start(RunHeader(run="a", name="a", attempt=2))
    tracker.metrics(0, {"loss": 0.5, "miou": 0.25})
    tracker.metrics(1, {"loss": 0.25})
    tracker.heartbeat()
    tracker.heartbeat()
    tracker.dataset(dataset)
    tracker.model(model)
    tracker.artifact(tmp_path / "note.txt", "notes")
    tracker.table("t.json", {"class": ["road"]})
    tracker.end("KILLED", "SIGTERM")
    server = Dictionary()

    report = replay(tmp_path / "spool", server)

    assert server.calls == [
        ("start", "a", 2),
        ("metrics", "id-a", [("loss", 0.5, 0), ("miou", 0.25, 0), ("loss", 0.25, 1)]),
        ("heartbeat", "id-a"),
        ("dataset", "id-a", dataset),
        ("model", "id-a", model),
        ("artifact", "id-a", "a note", "notes"),
        ("table", "id-a", "t.json", {"class": ["road"]}),
        ("end", "id-a", "KILLED", False),
    ]
    assert report == ReplayReport(num_delivered=10)
    assert delivered_id(tmp_path / "spool", "a", server.uri) == "id-a"


def test_replay_twice_delivers_nothing_the_second_time_and_then_only_what_is_new(tmp_path: Path) -> None:
    tracker = tell(tmp_path)
    replay(tmp_path, Dictionary())
    server = Dictionary()

    assert replay(tmp_path, server) == ReplayReport()
    tracker.metrics(9, {"loss": 0.0})
    replay(tmp_path, server)

    assert server.calls == [("metrics", "id-a", [("loss", 0.0, 9)])]


def test_replay_again_delivers_everything_for_another_server(tmp_path: Path) -> None:
    tell(tmp_path)
    first, second = Dictionary(), Dictionary()
    replay(tmp_path, first)

    replay(tmp_path, second, again=True)

    assert second.calls == first.calls


@pytest.mark.parametrize("answers", range(6))
def test_server_that_goes_away_anywhere_gets_the_rest_later_and_nothing_twice(tmp_path: Path, answers: int) -> None:
    spool, copy = tmp_path / "spool", tmp_path / "copy"
    tell(spool, "a")
    tell(spool, "b")
    whole = Dictionary()
    shutil.copytree(spool, copy)
    replay(copy, whole)
    server = Dictionary(answers_left=answers)

    report = replay(spool, server)
    assert report.problem == "away"
    assert report.num_waiting == 12 - report.num_delivered > 0
    server.answers_left = float("inf")
    report = replay(spool, server)

    assert report.problem is None
    assert report.num_waiting == 0
    assert server.calls == whole.calls


def test_run_that_the_server_cannot_take_now_does_not_hold_up_the_others(tmp_path: Path) -> None:
    class Choosy(Dictionary):
        def metrics(self, id: str, points: Sequence[MetricPoint]) -> None:
            if id == "id-a":
                raise Unavailable("the bucket of this run is away")
            super().metrics(id, points)

    tell(tmp_path, "a")
    tell(tmp_path, "b")
    server = Choosy()

    report = replay(tmp_path, server)

    assert report.problem == "the bucket of this run is away"
    assert ("end", "id-b", "FINISHED", False) in server.calls
    assert report.num_waiting == 5


def test_refused_and_damaged_events_are_left_out_and_counted(tmp_path: Path) -> None:
    tracker = tell(tmp_path)
    with (tmp_path / "a" / EVENTS).open("ab") as file:
        file.write(b'{"kind": "metr')
    tracker.end("FAILED")
    server = Dictionary()
    server.refused = {"tags"}

    report = replay(tmp_path, server)

    assert (report.num_refused, report.num_damaged, report.num_waiting) == (1, 1, 0)
    assert [call[0] for call in server.calls] == ["start", "metrics", "end", "end"]


def test_parents_are_delivered_before_their_children(tmp_path: Path) -> None:
    tell(tmp_path, "a", parent="b")
    tell(tmp_path, "b", parent="c")
    tell(tmp_path, "c")
    tell(tmp_path, "d", parent="elsewhere")
    server = Dictionary()

    replay(tmp_path, server)

    starts = [call[1] for call in server.calls if call[0] == "start"]
    assert sorted(starts) == ["a", "b", "c", "d"]
    assert starts.index("c") < starts.index("b") < starts.index("a")


def test_runs_that_are_their_own_ancestors_end_the_replay_all_the_same(tmp_path: Path) -> None:
    tell(tmp_path, "a", parent="b")
    tell(tmp_path, "b", parent="a")

    assert replay(tmp_path, Dictionary()).num_waiting == 0


def test_num_waiting_counts_what_is_undelivered(tmp_path: Path) -> None:
    tell(tmp_path)

    assert num_waiting(tmp_path, "dictionary") == 6
    replay(tmp_path, Dictionary())
    assert num_waiting(tmp_path, "dictionary") == 0
    assert num_waiting(tmp_path, "another server") == 6
    assert delivered_id(tmp_path, "a", "another server") is None


def test_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    with replay_lock(tmp_path / "spool") as first, replay_lock(tmp_path / "spool") as second:
        assert first
        assert not second
    with replay_lock(tmp_path / "spool") as third:
        assert third
