"""The status of a run is what happened to it."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from ovlab.runs.ending import Terminated, ending
from ovlab.specs.errors import Stopped
from ovlab.specs.events import Status


class Told(list[tuple[Status, str]]):
    """What was told, in order."""

    def __call__(self, status: Status, reason: str) -> None:
        self.append((status, reason))


@pytest.fixture
def told() -> Told:
    return Told()


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
    told: Told, happens: Callable[[], None], error: type[BaseException], status: str, reason: str
) -> None:
    with pytest.raises(error), ending(told):
        happens()

    assert told == [(status, reason)]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_block_that_returns_is_finished_unless_it_says_otherwise(told: Told) -> None:
    with ending(told):
        assert told == []
    with ending(told) as found:
        found.killed("stopped after step 3")
    with ending(told) as found:
        found.failed("2 of 7 trials")

    assert told == [("FINISHED", ""), ("KILLED", "stopped after step 3"), ("FAILED", "2 of 7 trials")]


def test_handler_of_somebody_else_stays(told: Told) -> None:
    def handler(_number: int, _frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with ending(told):
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_terminated_process_has_the_exit_code_of_the_shell() -> None:
    assert Terminated().code == 143
