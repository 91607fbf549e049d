"""How a run ended, as a status that is true: FINISHED, FAILED after an exception, KILLED when it was stopped.

What no code can say any more, because the process got SIGKILL, is said by whoever finds it dead (store/journal.py).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ovlab.specs.errors import Stopped
from ovlab.specs.events import Status
from ovlab.specs.wording import one_line

_REASON_LENGTH = 500


class Terminated(SystemExit):
    """SIGTERM, as an exception that unwinds the run; the exit code is the shell's 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Ending:
    """How a run will be said to have ended. A block that returns well although it was stopped must say so."""

    def __init__(self) -> None:
        self.status: Status = "FINISHED"
        self.reason = ""

    def killed(self, reason: str) -> None:
        """The work was stopped before its end, to be continued."""
        self.status, self.reason = "KILLED", reason

    def failed(self, reason: str) -> None:
        """The work failed, and what called it goes on all the same."""
        self.status, self.reason = "FAILED", reason


@contextmanager
def ending(tell: Callable[[Status, str], object]) -> Iterator[Ending]:
    """Give `tell` the status and the reason when the block ends, by what happens in it; exceptions pass through.

    SIGTERM, which would end the process without a word, is raised as Terminated, unless something else handles it
    already.
    """
    found = Ending()
    with _sigterm_raises():
        try:
            yield found
        except BaseException as error:
            tell(*_verdict(error, found))
            raise
        tell(found.status, found.reason)


def _verdict(error: BaseException, found: Ending) -> tuple[Status, str]:
    match error:
        case Terminated():
            return "KILLED", "SIGTERM"
        case KeyboardInterrupt():
            return "KILLED", "SIGINT"
        case Stopped():
            return "KILLED", str(error)
        case SystemExit(code=None | 0):
            return found.status, found.reason
        case SystemExit():
            return "FAILED", f"exit: {error.code}"
    return "FAILED", f"{type(error).__name__}: {one_line(error)}"[:_REASON_LENGTH]


@contextmanager
def _sigterm_raises() -> Iterator[None]:
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
