"""A run while it is made, in the journal of its store, with a status that is true.

FINISHED; FAILED after an exception; KILLED when it was stopped. What no code can say any more, because the process got
SIGKILL, is said by whoever finds its journal silent (`ovlab.store.journal.end_silent`).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from ovlab.runs.context import RunContext
from ovlab.runs.journal_observer import JournalObserver
from ovlab.specs.errors import Stopped
from ovlab.specs.events import RunHeader, Status
from ovlab.specs.wording import one_line

_REASON_LENGTH = 500


class Terminated(SystemExit):
    """SIGTERM, as an exception that unwinds the run; the exit code is the shell's 143."""

    def __init__(self, code: int = 128 + signal.SIGTERM) -> None:
        super().__init__(code)


@contextmanager
def journaled(header: RunHeader, context: RunContext) -> Iterator[RunContext]:
    """The context of an attempt at the run, whose listeners hear how the block ends; exceptions pass through.

    SIGTERM, which would end the process without a word, is raised as Terminated, unless something else handles it
    already. An attempt that was refused before its work began leaves nothing in the journal.
    """
    inner = replace(context, journal=JournalObserver(context.store, header))
    status: Status = "FINISHED"
    reason = ""
    with sigterm_raises():
        inner.listeners.on_start(header)
        try:
            yield inner
        except BaseException as error:
            status, reason = verdict(error)
            raise
        finally:
            inner.listeners.on_end(status, reason)


def verdict(error: BaseException) -> tuple[Status, str]:
    """How a run ended that `error` came out of, and why."""
    match error:
        case Terminated():
            return "KILLED", "SIGTERM"
        case KeyboardInterrupt():
            return "KILLED", "SIGINT"
        case Stopped():
            return "KILLED", str(error)
        case SystemExit(code=None | 0):
            return "FINISHED", ""
        case SystemExit():
            return "FAILED", f"exit: {error.code}"
    return "FAILED", f"{type(error).__name__}: {one_line(error)}"[:_REASON_LENGTH]


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise Terminated where SIGTERM would end the process without a word."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
