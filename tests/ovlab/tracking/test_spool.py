"""Events on the disk: none spoilt by a killed writer, and no exception for the training."""

import json
import math
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from ovlab.tracking.spool import EVENTS, SpoolTracker, append_event, read_events, spooled_runs
from ovlab.tracking.tracker import RunHeader, TrackedDataset, TrackedModel

HEADER = RunHeader(run="abc", name="lambda 0.5", params={"model.prior_weight": "0.5"})


def kinds(run: Path, start: int = 0) -> list[str]:
    return [event.kind for event in read_events(run, start)]


def test_events_come_back_in_order_with_what_was_told(tmp_path: Path) -> None:
    picture = tmp_path / "overlay.png"
    picture.write_bytes(b"a picture")
    tracker = SpoolTracker(tmp_path / "spool", owner="me")

    tracker.start(HEADER)
    tracker.metrics(3, {"loss": 0.25, "miou": np.float64(0.5)})
    tracker.tags({"ovlab.runs.device": "cpu"})
    tracker.artifact(picture, "pictures")
    picture.write_bytes(b"another picture")
    tracker.table("per_class.json", {"class": ["road"], "iou": [math.nan]})
    tracker.dataset(TrackedDataset(name="d", digest="e", source="s", context="training", num_samples=2))
    tracker.model(TrackedModel(weights="w", sha256="s", class_names=("road",)))
    tracker.heartbeat()
    tracker.end("FAILED", "why")

    run = tmp_path / "spool" / "abc"
    assert spooled_runs(tmp_path / "spool") == [run]
    events = list(read_events(run))
    assert [event.kind for event in events] == [
        *("start", "metrics", "tags", "artifact", "table", "dataset", "model", "heartbeat", "end")
    ]
    contents = [event.content for event in events]
    assert contents[0]["header"]["params"] == {"model.prior_weight": "0.5"}
    assert contents[0]["owner"] == "me"
    assert contents[1]["step"] == 3
    assert contents[1]["values"] == {"loss": 0.25, "miou": 0.5}
    assert (run / contents[3]["file"]).read_bytes() == b"a picture"
    assert contents[4]["columns"] == {"class": ["road"], "iou": [None]}
    assert contents[8]["status"] == "FAILED"
    assert tracker.num_lost == 0
    assert kinds(run, events[6].end) == ["heartbeat", "end"]


def test_numbers_that_json_has_no_form_for_come_back(tmp_path: Path) -> None:
    tracker = SpoolTracker(tmp_path)
    tracker.start(HEADER)

    tracker.metrics(0, {"a": math.nan, "b": math.inf, "c": -math.inf})

    line = (tmp_path / "abc" / EVENTS).read_text().splitlines()[-1]
    values = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["values"]
    assert math.isnan(float(values["a"]))
    assert float(values["b"]) == math.inf
    assert float(values["c"]) == -math.inf


@pytest.mark.parametrize("num_bytes", [1, 20, 60])
def test_half_a_line_of_a_killed_writer_spoils_nothing(tmp_path: Path, num_bytes: int) -> None:
    tracker = SpoolTracker(tmp_path)
    tracker.start(HEADER)
    run = tmp_path / "abc"
    with (run / EVENTS).open("ab") as file:
        file.write(b'\n{"kind": "metrics", "time": 17, "step": 1, "values": {"loss": 0.5}}\n'[:num_bytes])

    assert kinds(run) == ["start"]  # the end of that line may still come
    tracker.metrics(2, {"loss": 0.25})

    assert kinds(run) == ["start", *(["damaged"] if num_bytes > 1 else []), "metrics"]


def test_many_processes_on_one_run_lose_no_line(tmp_path: Path) -> None:
    SpoolTracker(tmp_path).start(HEADER)

    def write(worker: int) -> None:
        tracker = SpoolTracker(tmp_path)
        tracker.join(HEADER)
        for step in range(200):
            tracker.metrics(step, {f"worker {worker}": step})

    context = get_context("fork")
    workers = [context.Process(target=write, args=(worker,)) for worker in range(4)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()

    told = [event.content for event in read_events(tmp_path / "abc") if event.kind == "metrics"]
    for worker in range(4):
        steps = [content["step"] for content in told if f"worker {worker}" in content["values"]]
        assert steps == list(range(200))


def test_sigkill_loses_nothing_that_was_told(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        tracker = SpoolTracker(tmp_path)
        tracker.start(HEADER)
        for step in range(50):
            tracker.metrics(step, {"loss": 1.0})
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    assert kinds(tmp_path / "abc") == ["start"] + 50 * ["metrics"]


def test_spool_that_cannot_be_made_disturbs_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    tracker = SpoolTracker(tmp_path / "spool")

    tracker.start(HEADER)
    tracker.metrics(1, {"loss": 1.0})
    tracker.end("FINISHED")

    assert tracker.num_lost == 4  # opening, and three events
    assert len(caplog.records) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / EVENTS).symlink_to("/dev/full")
    tracker = SpoolTracker(tmp_path)

    tracker.start(HEADER)
    tracker.metrics(1, {"loss": 1.0})

    assert tracker.num_lost == 2


def test_bad_values_disturb_nobody(tmp_path: Path) -> None:
    tracker = SpoolTracker(tmp_path)
    tracker.metrics(1, {"loss": 1.0})  # before the start
    tracker.start(HEADER)

    tracker.artifact(tmp_path / "missing.png")
    tracker.table("t.json", {"a": [object()]})
    tracker.end("FINISHED")

    assert tracker.num_lost == 3
    assert kinds(tmp_path / "abc") == ["start", "end"]


def test_append_event_adds_to_a_run_of_another_process(tmp_path: Path) -> None:
    SpoolTracker(tmp_path).start(HEADER)

    append_event(tmp_path / "abc", "end", status="KILLED", reason="gone")

    assert kinds(tmp_path / "abc") == ["start", "end"]
