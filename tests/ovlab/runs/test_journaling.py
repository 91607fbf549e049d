"""The status of a run is what happened to it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ovlab.runs.context import RunContext
from ovlab.runs.journaling import Terminated, journaled
from ovlab.runs.observer import Observer
from ovlab.specs.errors import Stopped
from ovlab.specs.events import RunHeader, Status
from ovlab.store.store import open_store

Run = Callable[[], AbstractContextManager[RunContext]]


class Told(Observer):
    """How runs ended, in order."""

    def __init__(self) -> None:
        self.ends: list[tuple[Status, str]] = []

    def on_end(self, status: Status, reason: str) -> None:
        self.ends.append((status, reason))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def run(told: Told, tmp_path: Path) -> Run:
    context = RunContext(store=open_store(str(tmp_path)), workdir=tmp_path, observer=told)
    return lambda: journaled(RunHeader(run="a", name="a"), context)


@pytest.fixture(autouse=True)
def signals_as_python_starts_with_them() -> Iterator[None]:
    """A shell may start background jobs with SIGINT ignored; Ray, from an earlier test, leaves a handler of SIGTERM."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
    run: Run, told: Told, happens: Callable[[], None], error: type[BaseException], status: str, reason: str
) -> None:
    with pytest.raises(error), run():
        happens()

    assert told.ends == [(status, reason)]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_block_that_returns_is_finished(run: Run, told: Told) -> None:
    with run():
        assert told.ends == []

    assert told.ends == [("FINISHED", "")]


def test_handler_of_somebody_else_stays(run: Run) -> None:
    def handler(_number: int, _frame: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with run():
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_terminated_process_has_the_exit_code_of_the_shell() -> None:
    assert Terminated().code == 143
