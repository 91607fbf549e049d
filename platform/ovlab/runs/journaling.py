"""A run while it is made, whose observers hear how it begins and ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from ovlab.runs.context import RunContext
from ovlab.specs.errors import Stopped
from ovlab.specs.events import RunHeader
from ovlab.specs.wording import one_line


@contextmanager
def journaled(header: RunHeader, context: RunContext) -> Iterator[RunContext]:
    """The context of an attempt at the run; exceptions pass through."""
    context.observer.on_start(header)
    try:
        yield context
    except BaseException as error:
        context.observer.on_end("KILLED" if isinstance(error, Stopped) else "FAILED", one_line(error))
        raise
    context.observer.on_end("FINISHED", "")
