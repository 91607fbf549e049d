"""The status of a run is what happened to it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovlab.specs.errors import Stopped
from ovlab.tracking.lifecycle import Terminated, tracked
from ovlab.tracking.spool import SpoolTracker, read_events
from ovlab.tracking.tracker import RunHeader

HEADER = RunHeader(run="a", name="a")


def last_event(spool: Path) -> dict:
    return list(read_events(spool / "a"))[-1].content


@pytest.fixture(autouse=True)
def python_handles_ctrl_c() -> Iterator[None]:
    """A shell's background job starts with SIGINT ignored, and these tests may run in one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def fail() -> None:
    raise ValueError("no such\nclass")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


def stop() -> None:
    raise Stopped("stopped after 3 steps")


def leave(code: object) -> Callable[[], None]:
    def leave_now() -> None:
        raise SystemExit(code)

    return leave_now


@pytest.mark.parametrize(
    ("happens", "error", "status", "reason"),
    [
        (fail, ValueError, "FAILED", "ValueError: no such class"),
        (interrupt, KeyboardInterrupt, "KILLED", "SIGINT"),
        (terminate, Terminated, "KILLED", "SIGTERM"),
        (stop, Stopped, "KILLED", "stopped after 3 steps"),
        (leave(1), SystemExit, "FAILED", "exit: 1"),
        (leave(0), SystemExit, "FINISHED", ""),
        (leave(None), SystemExit, "FINISHED", ""),
    ],
    ids=["exception", "SIGINT", "SIGTERM", "stopped", "exit 1", "exit 0", "exit"],
)
def test_status_is_what_ended_the_block(
    tmp_path: Path, happens: Callable[[], None], error: type[BaseException], status: str, reason: str
) -> None:
    with pytest.raises(error), tracked(SpoolTracker(tmp_path), HEADER):
        happens()

    end = last_event(tmp_path)
    assert (end["kind"], end["status"], end["reason"]) == ("end", status, reason)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_block_that_returns_is_finished_unless_it_says_otherwise(tmp_path: Path) -> None:
    with tracked(SpoolTracker(tmp_path), HEADER):
        pass
    assert last_event(tmp_path)["status"] == "FINISHED"

    with tracked(SpoolTracker(tmp_path), HEADER) as outcome:
        outcome.killed("stopped after step 3")
    assert (last_event(tmp_path)["status"], last_event(tmp_path)["reason"]) == ("KILLED", "stopped after step 3")

    with tracked(SpoolTracker(tmp_path), HEADER) as outcome:
        outcome.failed("2 of 7 trials")
    assert last_event(tmp_path)["status"] == "FAILED"


def test_handler_of_somebody_else_stays(tmp_path: Path) -> None:
    def handler(_number: int, _frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with tracked(SpoolTracker(tmp_path), HEADER):
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_terminated_process_has_the_exit_code_of_the_shell() -> None:
    assert Terminated().code == 143


def test_run_beats_while_its_block_runs_and_no_longer(tmp_path: Path) -> None:
    def kinds() -> list[str]:
        return [event.kind for event in read_events(tmp_path / "a")]

    with tracked(SpoolTracker(tmp_path), HEADER, beat_seconds=0.01, measure=lambda: {"system/x": 1.0}):
        deadline = time.monotonic() + 30
        while kinds().count("heartbeat") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)

    told = kinds()
    assert told[0] == "start"
    assert told[-1] == "end"
    assert told.count("heartbeat") >= 3
    assert told.count("metrics") >= 2
    time.sleep(0.05)
    assert kinds() == told
