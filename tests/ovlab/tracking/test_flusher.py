"""Real drivers that end in every way, and the flusher that outlives them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ovlab.tracking import flusher
from ovlab.tracking.destination import Destination
from ovlab.tracking.flusher import flush, start_flusher
from ovlab.tracking.replay import num_waiting
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.spooled_state import ABANDONED, spooled_states
from ovlab.tracking.tracker import RunHeader

DRIVER = Path(__file__).with_name("driver.py")


def start_driver(store: Path, way: str) -> subprocess.Popen[str]:
    call = [sys.executable, str(DRIVER), str(store), way]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def read_until_waiting(driver: subprocess.Popen[str]) -> list[str]:
    assert driver.stdout is not None
    lines: list[str] = []
    while (line := driver.stdout.readline().strip()) != "waiting":
        assert line, "the driver ended too early"
        lines.append(line)
    return lines


def wait_for_the_end(process: int, seconds: float) -> None:
    try:
        psutil.Process(process).wait(seconds)
    except psutil.NoSuchProcess:
        return


@pytest.fixture
def survivors() -> Iterator[list[int]]:
    """Processes to end if the test fails before they end by themselves."""
    processes: list[int] = []
    yield processes
    for process in processes:
        if psutil.pid_exists(process):
            os.kill(process, signal.SIGKILL)


def test_status_of_every_driver_is_what_happened_to_it(tracking: Destination, survivors: list[int]) -> None:
    from ovlab.tracking.mlflow_tracker import MlflowServer

    store = tracking.spool.parents[1]
    killed = start_driver(store, "wait-with-flusher")
    terminated = start_driver(store, "wait")
    others = [start_driver(store, way) for way in ("finish", "fail", "exit")]
    survivors += [driver.pid for driver in (killed, terminated, *others)]
    flusher = int(read_until_waiting(killed)[0])
    survivors.append(flusher)
    read_until_waiting(terminated)

    terminated.send_signal(signal.SIGTERM)
    codes = [driver.wait(120) for driver in (terminated, *others)]
    killed.kill()
    killed.wait()
    wait_for_the_end(flusher, 400)

    assert codes == [143, 0, 1, 1]
    assert not psutil.pid_exists(flusher)
    assert tracking.uri is not None
    found = {run.name: run for run in MlflowServer(tracking.uri).runs()}
    assert {name: (run.status, run.reason) for name, run in found.items()} == {
        "finish": ("FINISHED", ""),
        "fail": ("FAILED", "ValueError: a mistake"),
        "exit": ("FAILED", "exit: 1"),
        "wait": ("KILLED", "SIGTERM"),
        "wait-with-flusher": ("KILLED", ABANDONED),
    }
    assert all(run.metrics["loss"] == 0.5 for run in found.values())
    assert num_waiting(tracking.spool, tracking.uri) == 0


def test_flusher_without_a_server_keeps_the_events_and_ends(tmp_path: Path) -> None:
    to = Destination(tmp_path / "spool", f"sqlite:///{tmp_path}/file/mlflow.db", None)
    (tmp_path / "file").write_text("a file where the folder of the database should be")
    SpoolTracker(to.spool, owner="me").start(RunHeader(run="a", name="a"))

    pipe, end_of_the_driver = os.pipe()
    os.close(end_of_the_driver)
    code = flush(to, "me", os.getppid(), pipe, interval=0.01, patience=0.1)
    os.close(pipe)

    assert code == 1
    assert [state.status for state in spooled_states(to.spool)] == ["KILLED"]
    assert to.uri is not None
    assert num_waiting(to.spool, to.uri) == 2


def test_runs_of_a_driver_that_dies_during_a_long_delivery_are_ended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = Destination(tmp_path / "spool", "http://127.0.0.1:9", None)
    SpoolTracker(to.spool, owner="me").start(RunHeader(run="a", name="a"))
    pipe, end_of_the_driver = os.pipe()
    seen: list[str] = []

    def deliver() -> None:
        if not seen:
            os.close(end_of_the_driver)
        deadline = time.monotonic() + 60
        while (status := spooled_states(to.spool)[0].status) == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(status)

    monkeypatch.setattr(flusher, "_Delivery", lambda to: deliver)
    code = flusher.flush(to, "me", os.getppid(), pipe, interval=0.01, patience=0.1)
    os.close(pipe)

    assert (code, seen[0]) == (0, "KILLED")


def test_closing_a_flusher_does_not_wait_unless_asked(tracking: Destination, survivors: list[int]) -> None:
    flusher = start_flusher(tracking, "me")
    survivors.append(flusher.pid)
    began = time.monotonic()

    assert flusher.close() is False

    assert time.monotonic() - began < 1.0
    assert flusher.close(wait=120.0) is True
