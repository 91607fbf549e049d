"""Real drivers that end in every way, and the publisher that outlives them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ovlab.specs.events import Ended, RunHeader, Started
from ovlab.store.journal import open_journal, read_journal, status_of
from ovlab.store.journal_lines import pack_line
from ovlab.store.store import Store, open_store
from ovlab.tracking.destination import Destination
from ovlab.tracking.published import num_waiting
from ovlab.tracking.publisher import Work, close_publisher, publish_while, publishing, start_publisher
from shown_runs import runs_at

DRIVER = Path(__file__).with_name("driver.py")


def start_driver(store: Store, way: str) -> subprocess.Popen[str]:
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


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends, of which the second stands for the work."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.fixture
def dead_run(store: Store) -> None:
    """A run of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    started = Started(header=RunHeader(run="a", name="a"), host=socket.gethostname(), process=child.pid)
    store.folder.write("journals/a/20260102T030405000001Z-00000000.00000000.jsonl", pack_line(started, time.time()))


def test_status_of_every_driver_is_what_happened_to_it(
    tracking: Destination, store: Store, survivors: list[int]
) -> None:
    killed = start_driver(store, "wait-with-publisher")
    terminated = start_driver(store, "wait")
    others = [start_driver(store, way) for way in ("finish", "fail", "exit")]
    survivors += [driver.pid for driver in (killed, terminated, *others)]
    publisher = int(read_until_waiting(killed)[0])
    survivors.append(publisher)
    read_until_waiting(terminated)

    terminated.send_signal(signal.SIGTERM)
    codes = [driver.wait(120) for driver in (terminated, *others)]
    killed.kill()
    killed.wait()
    wait_for_the_end(publisher, 400)

    assert codes == [143, 0, 1, 1]
    assert not psutil.pid_exists(publisher)
    found = list(runs_at(tracking.require_uri()).values())
    assert {run.info.run_name: (run.info.status, run.data.tags["ovlab.reason"]) for run in found} == {
        "finish": ("FINISHED", ""),
        "fail": ("FAILED", "ValueError: a mistake"),
        "exit": ("FAILED", "exit: 1"),
        "wait": ("KILLED", "SIGTERM"),
        "wait-with-publisher": ("KILLED", killed_reason(store)),
    }
    assert all(run.data.metrics["train/loss"] == 0.5 for run in found)
    assert num_waiting(store, tracking.require_uri()) == 0


def killed_reason(store: Store) -> str:
    reason = status_of(read_journal(store, "wait-with-publisher")).reason
    assert "ended without saying how" in reason
    return reason


def test_publisher_without_a_server_keeps_the_events_says_why_once_and_ends(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: list[int]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setattr("ovlab.tracking.publisher.LAST_SECONDS", 0.0)
    before = {child.pid for child in psutil.Process().children()}
    with publishing(store), open_journal(store, RunHeader(run="a", name="a")) as journal:
        (publisher,) = [child for child in psutil.Process().children() if child.pid not in before]
        survivors.append(publisher.pid)
        assert "secret" not in " ".join(publisher.cmdline())
        log = tmp_path / "store" / "tracking" / "publisher.log"
        deadline = time.monotonic() + 120
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.2)
        journal.write(Ended(status="FINISHED"))
    publisher.kill()
    publisher.wait(60)

    (line,) = log.read_text().splitlines()
    assert "no answer" in line
    assert "secret" not in line
    assert num_waiting(store, "http://127.0.0.1:9") == 2


def test_runs_of_a_driver_that_dies_while_the_server_is_slow_are_ended_at_once(
    store: Store, pipe: tuple[int, int], dead_run: None
) -> None:
    seen: list[str] = []

    def publish() -> tuple[str | None, int]:
        if not seen:
            os.close(pipe[1])
        deadline = time.monotonic() + 60
        while (status := status_of(read_journal(store, "a")).status) == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(status)
        return None, 0

    code = publish_while(Work(store, os.getppid(), pipe[0]), publish, interval=0.01, patience=0.1)

    assert (code, seen[0]) == (0, "KILLED")


def test_publisher_goes_on_until_the_processes_of_a_killed_driver_have_ended(
    store: Store, pipe: tuple[int, int]
) -> None:
    os.close(pipe[1])
    running = [3, 2, 1, 0]

    code = publish_while(
        Work(store, os.getppid(), pipe[0]), lambda: (None, running.pop(0)), interval=0.01, patience=60.0
    )

    assert (code, running) == (0, [])


def test_publisher_of_a_driver_that_ended_well_waits_for_no_other_run(store: Store, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b".")
    calls = []

    def publish() -> tuple[str | None, int]:
        calls.append(None)
        return None, 5

    assert publish_while(Work(store, os.getppid(), pipe[0]), publish, interval=60.0, patience=60.0) == 0
    assert len(calls) == 1


def test_publisher_that_cannot_publish_ends_when_its_patience_does(
    store: Store, pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    os.write(pipe[1], b".")

    code = publish_while(Work(store, os.getppid(), pipe[0]), lambda: ("away", 0), interval=0.01, patience=0.1)

    assert code == 1
    away, at_the_end = [record.message for record in caplog.records]
    assert away == "away"
    assert "`ovlab runs publish`" in at_the_end


def test_closing_a_publisher_does_not_wait_unless_asked(
    tracking: Destination, store: Store, survivors: list[int]
) -> None:
    process = start_publisher(str(store), tracking)
    survivors.append(process.pid)
    began = time.monotonic()

    assert close_publisher(process) is False

    assert time.monotonic() - began < 1.0
    assert close_publisher(process, wait=120.0) is True


def test_store_in_a_bucket_without_a_server_is_published_by_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = psutil.Process().children()
    with publishing(open_store("s3://bucket/store")):
        assert psutil.Process().children() == before

    assert "`ovlab runs publish`" in capsys.readouterr().err
