"""The trackers of one process, the spool they write to, and the flusher that brings it to the server."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ovlab.tracking.destination import destination
from ovlab.tracking.flusher import start_flusher
from ovlab.tracking.replay import num_waiting
from ovlab.tracking.spool import SpoolTracker, process_owner
from ovlab.tracking.tracker import NullTracker, Tracker

# A tracker tells about one run at a time.
NewTracker = Callable[[], Tracker]

# How long the end of the work waits for the last events to be delivered.
LAST_SECONDS = 20.0


@contextmanager
def tracking(store: str) -> Iterator[NewTracker]:
    """Yield what makes trackers of the runs in `store`; the flusher goes on after the block until all is delivered.

    Without a server for a store in a bucket, the events wait on this machine for `ovlab runs replay`.
    """
    to, owner = destination(store), process_owner()
    if to.uri is None:
        print(f"no MLFLOW_TRACKING_URI: what the runs tell waits in {to.spool}", file=sys.stderr)
        yield lambda: SpoolTracker(to.spool, owner=owner)
        return
    flusher = start_flusher(to, owner)
    try:
        yield lambda: SpoolTracker(to.spool, owner=owner)
    finally:
        if not flusher.close(LAST_SECONDS) and (waiting := num_waiting(to.spool, to.uri)):
            print(f"{waiting} events still go to {to.uri}; `ovlab runs replay` delivers what is left", file=sys.stderr)


@contextmanager
def no_tracking() -> Iterator[NewTracker]:
    """The same for runs that tell nobody."""
    yield NullTracker
