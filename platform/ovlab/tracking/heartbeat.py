"""A thread that says now and then that its process lives, and how the machine does."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ovlab.tracking.tracker import Tracker

BEAT_SECONDS = 15.0
# Silence after which a run is taken for dead: many beats, since a machine under load misses some.
STALE_SECONDS = 300.0

Measure = Callable[[], Mapping[str, float]]


@contextmanager
def beating(tracker: Tracker, every: float = BEAT_SECONDS, measure: Measure | None = None) -> Iterator[None]:
    """Beat every `every` seconds while the block runs, with the metrics of `measure` at the time in seconds as step.

    The clock as step keeps the curves of two attempts apart.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every):
            tracker.heartbeat()
            if measure is not None:
                tracker.metrics(int(time.time()), measure())

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=every)
