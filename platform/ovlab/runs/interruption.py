"""SIGTERM and SIGINT as a question that a loop asks between two steps."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(message: str = "stopping after this step") -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the process was asked to stop.

    The first signal only sets the answer and prints `message`; a second one acts as it would without this. Only for
    the main thread, where Python delivers signals.
    """
    asked = False
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        restore()
        # os.write, because print may be in the middle of a line when the signal comes.
        name = signal.Signals(number).name
        os.write(2, f"{name}: {message}; send it again to stop at once.\n".encode())

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()
