"""A real MLflow server that is killed and started again while a run goes on."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ovlab.tracking.destination import Destination
from ovlab.tracking.replay import replay
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.tracker import RunHeader


class Server:
    """`mlflow server` on a port of its own. `start` and `kill` may alternate."""

    def __init__(self, folder: Path, database: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.database = database
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        call = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        call += ["--workers", "1", "--backend-store-uri", self.database]
        call += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._run(call, {**os.environ, **quiet})

    def start_again(self) -> None:
        # The process that serves, without the command line that starts it: half the imports.
        self._run(*self.serving)

    def _run(self, call: list[str], environment: dict[str, str]) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                call, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, env=environment
            )

    def wait(self, seconds: float = 280.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        pytest.fail((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        if self.process is not None:
            for child in psutil.Process(self.process.pid).children():
                self.serving = child.cmdline(), child.environ()
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


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
