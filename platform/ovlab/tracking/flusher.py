"""A process beside the driver that brings the spool to the tracking server, and outlives the driver.

It costs the training nothing: it runs at low priority, and the training never waits for it. When the driver is gone,
however it ended, the runs that it left RUNNING become KILLED, the rest is delivered as far as the server answers, and
the process ends.
"""

import argparse
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ovlab.tracking.destination import Destination
from ovlab.tracking.replay import Server, Unavailable, num_waiting, replay, replay_lock
from ovlab.tracking.spooled_state import end_abandoned

INTERVAL = 2.0
LONGEST_INTERVAL = 60.0
# How long it goes on trying when the driver is gone.
PATIENCE = 60.0
_LOOK_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


class Flusher:
    """A running flusher. Use it as a context manager, or call `close`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self, wait: float = 0.0) -> bool:
        """Let it deliver the rest and end. Returns whether it has, after at most `wait` seconds; it goes on anyway."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return self._process.wait(timeout=wait) == 0
        except subprocess.TimeoutExpired:
            return False

    def __enter__(self) -> "Flusher":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def start_flusher(to: Destination, owner: str, *, interval: float = INTERVAL, patience: float = PATIENCE) -> Flusher:
    """Start the flusher of this process, whose trackers carry `owner`. Raises InputError when there is no server."""
    call = [sys.executable, "-m", "ovlab.tracking.flusher", str(to.spool), "--uri", to.require_uri(), "--owner", owner]
    call += ["--driver", str(os.getpid()), "--interval", str(interval), "--patience", str(patience)]
    if to.artifacts is not None:
        call += ["--artifacts", str(to.artifacts)]
    to.spool.mkdir(parents=True, exist_ok=True)
    with (to.spool / "flusher.log").open("ab") as log:
        # A session of its own: Ctrl-C in the terminal is for the driver, and the end of it is still to be told.
        process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=_quiet_environment()
        )
    return Flusher(process)


def _quiet_environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def flush(to: Destination, owner: str, driver: int, pipe: int, *, interval: float, patience: float) -> int:
    """Deliver until the driver is gone and all is delivered, or for `patience` seconds more. Returns the exit code.

    The driver is gone when it is no longer the parent of this process, or has closed its end of `pipe`. A thread of its
    own waits for that, since a delivery to a slow server takes long.
    """
    gone = threading.Event()
    watch = threading.Thread(target=_watch, args=(to.spool, owner, driver, pipe, gone), name="watch", daemon=True)
    watch.start()
    deliver = _Delivery(to)
    deadline: float | None = None
    delay = interval
    while True:
        if deadline is not None:
            time.sleep(min(delay, 1.0))
        elif gone.wait(delay):
            deadline = time.monotonic() + patience
        problem = deliver()
        if deadline is not None and problem is None:
            return 0
        if deadline is not None and time.monotonic() > deadline:
            _LOG.warning("not everything was delivered (%s); `ovlab runs replay` does the rest.", problem)
            return 1
        delay = interval if problem is None else min(2 * delay, LONGEST_INTERVAL)


class _Delivery:
    """One attempt a call to deliver what waits; returns why something still does, or None."""

    def __init__(self, to: Destination) -> None:
        self.to = to
        self.server: Server | None = None

    def __call__(self) -> str | None:
        try:
            if num_waiting(self.to.spool, self.to.require_uri()) == 0:
                return None
            with replay_lock(self.to.spool) as is_mine:
                if not is_mine:
                    return "another process is replaying this spool"
                return replay(self.to.spool, self._open()).problem
        except Unavailable as error:
            return str(error)
        except Exception as error:  # a fault of ours with one run must not silence those still to come
            _LOG.exception("replay failed")
            return str(error)

    def _open(self) -> Server:
        if self.server is None:
            # Seconds of work, which a spool without news does not ask for.
            from ovlab.tracking.mlflow_tracker import MlflowServer

            self.server = MlflowServer(self.to.require_uri(), self.to.artifacts)
        return self.server


def _watch(spool: Path, owner: str, driver: int, pipe: int, gone: threading.Event) -> None:
    """Wait for the end of the driver, and end the runs that it has left."""
    try:
        while os.getppid() == driver and not select.select([pipe], [], [], _LOOK_SECONDS)[0]:
            pass
        end_abandoned(spool, owner)
    finally:
        gone.set()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ovlab.tracking.flusher", description=__doc__)
    parser.add_argument("spool", type=Path)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--artifacts", type=Path)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--driver", type=int, required=True)
    parser.add_argument("--interval", type=float, default=INTERVAL)
    parser.add_argument("--patience", type=float, default=PATIENCE)
    parsed = parser.parse_args(arguments)
    os.nice(10)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    to = Destination(parsed.spool, parsed.uri, parsed.artifacts)
    pipe = sys.stdin.fileno()
    return flush(to, parsed.owner, parsed.driver, pipe, interval=parsed.interval, patience=parsed.patience)


if __name__ == "__main__":
    sys.exit(main())
