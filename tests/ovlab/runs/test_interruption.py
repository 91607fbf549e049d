import os
import signal
from collections.abc import Iterator

import pytest

from ovlab.runs.interruption import stop_on_signals


@pytest.fixture(autouse=True)
def handlers_of_a_terminal() -> Iterator[None]:
    """Python's own handler of Ctrl-C: a shell starts background jobs with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_is_an_answer_and_says_so(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    with stop_on_signals("stopping soon") as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()

    assert capfd.readouterr().err == f"{number.name}: stopping soon; send it again to stop at once.\n"


def test_second_signal_acts_at_once() -> None:
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_afterwards_are_those_of_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    with stop_on_signals():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
