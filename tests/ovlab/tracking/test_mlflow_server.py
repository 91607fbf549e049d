"""A real MLflow server that is killed and started again while a run goes on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_server import Server
from ovlab.tracking.destination import Destination
from ovlab.tracking.replay import replay
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.tracker import RunHeader


@pytest.fixture
def server(tracking: Destination, tmp_path: Path) -> Iterator[Server]:
    assert tracking.uri is not None
    server = Server(tmp_path, tracking.uri)
    server.start()
    yield server
    server.kill()


# Two starts of the server: under a minute on a machine that does nothing else.
@pytest.mark.timeout(900)
def test_run_goes_on_while_the_server_is_dead_and_nothing_is_lost_or_told_twice(
    server: Server, tracking: Destination, tmp_path: Path
) -> None:
    from ovlab.tracking.mlflow_tracker import MlflowServer

    server.wait()
    mlflow = MlflowServer(server.uri)
    tracker = SpoolTracker(tracking.spool)
    (tmp_path / "overlay.png").write_bytes(b"a picture")
    parent = SpoolTracker(tracking.spool)
    parent.start(RunHeader(run="table4", name="Table 4"))
    tracker.start(RunHeader(run="a", name="lambda 0.5", parent="table4", params={"seed": "1"}))
    for step in range(20):
        tracker.metrics(step, {"loss": 1 / (step + 1)})
    assert replay(tracking.spool, mlflow).problem is None

    server.kill()
    began = time.monotonic()
    for step in range(20, 60):
        tracker.metrics(step, {"loss": 1 / (step + 1)})
    tracker.artifact(tmp_path / "overlay.png", "pictures")
    tracker.end("FINISHED")
    assert time.monotonic() - began < 1.0
    assert tracker.num_lost == 0
    report = replay(tracking.spool, mlflow)
    assert report.problem is not None
    assert (report.num_delivered, report.num_refused, report.num_waiting) == (0, 0, 42)

    server.start_again()
    server.wait()
    report = replay(tracking.spool, mlflow)

    assert (report.problem, report.num_delivered, report.num_waiting) == (None, 42, 0)
    found = {run.run: run for run in mlflow.runs()}
    assert {name: run.status for name, run in found.items()} == {"table4": "RUNNING", "a": "FINISHED"}
    history = mlflow.client.get_metric_history(found["a"].id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1 / (step + 1)) for step in range(60)]
    tags = mlflow.client.get_run(found["a"].id).data.tags
    assert tags["mlflow.parentRunId"] == found["table4"].id
    picture = mlflow.client.download_artifacts(found["a"].id, "pictures/overlay.png", str(tmp_path))
    assert Path(picture).read_bytes() == b"a picture"
