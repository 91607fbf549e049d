"""A driver as small as can be: `python driver.py STORE WAY` begins a run and ends in this way.

WAY is finish, fail, exit, wait or wait-with-publisher. The last two print "waiting" and wait for a signal; the last one
has a publisher, whose process id it prints first.
"""

import sys
import time

from ovlab.runs.journaling import sigterm_raises, verdict
from ovlab.specs.events import Ended, RunHeader, Step
from ovlab.store.journal import open_journal
from ovlab.store.store import open_store
from ovlab.tracking.destination import destination
from ovlab.tracking.publisher import start_publisher

if __name__ == "__main__":
    place, way = sys.argv[1:]
    if way == "wait-with-publisher":
        publisher = start_publisher(place, destination(place))
        print(publisher.pid, flush=True)
    with sigterm_raises(), open_journal(open_store(place), RunHeader(run=way, name=way)) as journal:
        try:
            journal.write(Step(step=1, loss=0.5, learning_rate=0.1, grad_norm=0.1, images_per_second=1.0))
            if way == "fail":
                raise ValueError("a mistake")
            if way == "exit":
                sys.exit(1)
            if way.startswith("wait"):
                print("waiting", flush=True)
                time.sleep(300)
        except BaseException as error:
            status, reason = verdict(error)
            journal.write(Ended(status=status, reason=reason))
            raise
        journal.write(Ended(status="FINISHED"))
