"""A process beside the work that publishes its store, and outlives it.

    python -m ovlab.tracking.publisher STORE PROCESS

It costs the work nothing: it runs at low priority, and nobody waits for it. When the work is gone, however it ended,
the runs that it left RUNNING are ended, the rest is published as far as the server answers, and the process ends. The
address of the server is in its environment.
"""

import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ovlab.files.inside import inside
from ovlab.files.lock import locked
from ovlab.runs.observer import Observer
from ovlab.specs.errors import InputError, StoreError
from ovlab.specs.events import Begun, Status
from ovlab.specs.wording import shown
from ovlab.store.journal import end_silent, journaled_runs
from ovlab.store.store import Store, open_store
from ovlab.tracking.destination import Destination, destination

INTERVAL = 2.0
LONGEST_INTERVAL = 60.0
# Of its time, so much is spent on publishing: a long journal is read whole.
_SHARE = 0.05
# How long it goes on when the work is gone.
PATIENCE = 60.0
# How long the end of the work waits for what it told last.
LAST_SECONDS = 20.0
LOCK = "publishing.lock"
_WELL = b"."
_LOOK_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


@contextmanager
def publishing(store: Store) -> Iterator[None]:
    """Publish `store` in a process of its own while the block runs, and go on behind it until all is told.

    Without a server for a store in a bucket, nothing is published until somebody calls `ovlab runs publish`.
    """
    place = str(store) if not store.folder.is_local else os.path.realpath(str(store).removeprefix("file://"))
    to = destination(place)
    if to.uri is None:
        print("no MLFLOW_TRACKING_URI: `ovlab runs publish` tells a server later", file=sys.stderr)
        yield
        return
    try:
        process = start_publisher(place, to)
    except OSError as error:  # a store that can only be read, a full disk
        print(f"{to.folder}: cannot publish from there ({error.strerror}); nothing is told", file=sys.stderr)
        yield
        return
    try:
        yield
    finally:
        if not close_publisher(process, LAST_SECONDS):
            place = shown(to.uri)
            print(f"not everything is told at {place} yet; `ovlab runs publish` tells what is left", file=sys.stderr)


class Publishing(Observer):
    """Has `store` published, as `publishing` does, from where work begins until the attempt is over."""

    def __init__(self, store: Store) -> None:
        self.store, self.publishing = store, ExitStack()
        self.has_begun = False

    def on_begin(self, begun: Begun) -> None:
        if not self.has_begun:
            self.has_begun = True
            self.publishing.enter_context(publishing(self.store))

    def on_end(self, status: Status, reason: str) -> None:
        self.publishing.close()
        self.has_begun = False


def start_publisher(store: str, to: Destination) -> subprocess.Popen[bytes]:
    """It takes its standard input for the work: when that is closed, the work is gone."""
    to.folder.mkdir(parents=True, exist_ok=True)
    with inside(to.folder, "publisher.log").open("ab") as log:
        # A session of its own: Ctrl-C in the terminal is for the work, and the end of it is still to be told.
        return subprocess.Popen(
            [sys.executable, "-m", "ovlab.tracking.publisher", store, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def close_publisher(process: subprocess.Popen[bytes], wait: float = 0.0) -> bool:
    """Let it tell the rest and end. Returns whether it has, after at most `wait` seconds; it goes on anyway."""
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.write(_WELL)
            process.stdin.close()
        except BrokenPipeError:
            return False
    try:
        return process.wait(timeout=wait) == 0
    except subprocess.TimeoutExpired:
        return False


class Work:
    """What is published: gone when the other end of `pipe` is closed, or when `process` is no longer the parent of this
    one. A thread waits for that, since to publish to a slow server takes long, and ends the runs that died with it."""

    def __init__(self, store: Store, process: int, pipe: int) -> None:
        self._store, self._process, self._pipe = store, process, pipe
        self.gone = threading.Event()
        self.ended_well = False
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _watch(self) -> None:
        # What the work forked may hold its end of the pipe open.
        while os.getppid() == self._process:
            if select.select([self._pipe], [], [], _LOOK_SECONDS)[0]:
                self.ended_well = os.read(self._pipe, 1) == _WELL
                break
        try:
            for run in journaled_runs(self._store):
                end_silent(self._store, run)
        except (InputError, StoreError) as error:
            _LOG.warning("%s", error)
        finally:
            self.gone.set()


def publish_while(work: Work, once: Callable[[], tuple[str | None, int]], *, interval: float, patience: float) -> int:
    """Publish until the work is gone and all is told, or for `patience` seconds more. Returns the exit code.

    `once` says why not all could be told, or None, and how many runs are under way. Those of a work that was killed
    may have processes that end after it.
    """
    deadline: float | None = None
    delay, said = interval, None
    while True:
        if deadline is not None:
            time.sleep(min(delay, 1.0))
        elif work.gone.wait(delay):
            deadline = time.monotonic() + patience
        began = time.monotonic()
        problem, num_running = once()
        if problem is not None and problem != said:
            _LOG.warning("%s", problem)
        said = problem
        if deadline is not None and problem is None and (work.ended_well or num_running == 0):
            return 0
        if deadline is not None and time.monotonic() > deadline:
            if problem is not None:
                _LOG.warning("not everything was told; `ovlab runs publish` does the rest.")
            return int(problem is not None)
        if problem is None:
            delay = min(max(interval, (time.monotonic() - began) / _SHARE), LONGEST_INTERVAL)
        else:
            delay = min(2 * delay, LONGEST_INTERVAL)


class _Publisher:
    """Publishes once a call."""

    def __init__(self, store: Store, to: Destination) -> None:
        self.store, self.to = store, to
        self.server: object = None

    def __call__(self) -> tuple[str | None, int]:
        if self.server is None and not journaled_runs(self.store):
            return None, 0
        # Seconds of work, which a store without a run does not ask for.
        from ovlab.tracking.mlflow_client import Unavailable
        from ovlab.tracking.mlflow_server import MlflowServer
        from ovlab.tracking.publish import publish

        try:
            if not isinstance(self.server, MlflowServer):
                self.server = MlflowServer(self.to.require_uri(), self.to.artifacts)
            with locked(self.to.folder / LOCK, "publishing"):
                report = publish(self.store, self.server)
            return report.problem, report.num_running
        except (Unavailable, InputError, OSError) as error:
            return str(error), 0
        except Exception as error:  # a fault of ours with one run must not silence those still to come
            _LOG.exception("publishing failed")
            return f"{type(error).__name__}: {error}", 0


class _Shown(logging.Formatter):
    """Of a traceback, too, no address with its password."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(shown, super().format(record).split("\n")))


def main(store: str, process: int) -> int:
    os.nice(10)
    handler = logging.StreamHandler()
    handler.setFormatter(_Shown("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    opened = open_store(store)
    publisher = _Publisher(opened, destination(store))
    work = Work(opened, process, sys.stdin.fileno())
    return publish_while(work, publisher, interval=INTERVAL, patience=PATIENCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
