"""ovlab.benchmarks.phase_clock: what is called within a phase counts once, for the inner one."""

import itertools
import time
from pathlib import Path

import pytest

from ovlab.benchmarks.phase_clock import PhaseClock
from ovlab.benchmarks.trial_phases import PHASES


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one second whenever it is looked at."""
    seconds = itertools.count()
    monkeypatch.setattr(time, "thread_time", lambda: float(next(seconds)))


def test_time_of_an_inner_phase_is_not_that_of_the_outer_one(ticks: None) -> None:
    clock = PhaseClock()
    inner = clock.timed("inner", lambda: None)
    outer = clock.timed("outer", lambda: [inner(), inner()])

    outer()
    inner()

    assert clock.seconds == {"inner": 3.0, "outer": 3.0}  # 5 ticks around both inner calls, less their 2


def test_time_of_a_phase_that_fails_is_counted(ticks: None) -> None:
    clock = PhaseClock()
    fails = clock.timed("fails", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        fails()

    assert clock.seconds == {"fails": 1.0}


def test_every_function_that_is_watched_in_a_run_is_there_and_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = PhaseClock()
    monkeypatch.setattr(Path, "cwd", lambda: Path("here"))

    clock.watch({"asking": ["pathlib:Path.cwd"]})

    assert Path.cwd() == Path("here")
    assert set(clock.seconds) == {"asking"}
    for place in itertools.chain.from_iterable(PHASES.values()):
        module, _, path = place.partition(":")
        found = __import__(module, fromlist=["_"])
        for name in path.split("."):
            found = getattr(found, name)
        assert callable(found), place
