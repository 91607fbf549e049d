"""A driver as small as can be: `python driver.py STORE WAY` starts a run and ends in this way.

WAY is finish, fail, exit, wait or wait-with-flusher. The last two print "waiting" and wait for a signal; the last one
has a flusher, whose process id it prints first.
"""

import sys
import time
from contextlib import ExitStack

from ovlab.tracking.destination import destination
from ovlab.tracking.flusher import start_flusher
from ovlab.tracking.lifecycle import tracked
from ovlab.tracking.spool import SpoolTracker, process_owner
from ovlab.tracking.tracker import RunHeader

if __name__ == "__main__":
    store, way = sys.argv[1:]
    to, owner = destination(store), process_owner()
    with ExitStack() as stack:
        if way == "wait-with-flusher":
            print(stack.enter_context(start_flusher(to, owner, interval=0.2, patience=120.0)).pid, flush=True)
        tracker = SpoolTracker(to.spool, owner=owner)
        with tracked(tracker, RunHeader(run=way, name=way), beat_seconds=0.1):
            tracker.metrics(1, {"loss": 0.5})
            if way == "fail":
                raise ValueError("a mistake")
            if way == "exit":
                sys.exit(1)
            if way.startswith("wait"):
                print("waiting", flush=True)
                time.sleep(300)
