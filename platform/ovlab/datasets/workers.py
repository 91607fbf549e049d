"""The same work on many items, in this process or in several, with results as they come."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import wait as wait_for_sentinels
from typing import Any, TypeVar

Context = TypeVar("Context")
Result = TypeVar("Result")


def run_tasks(
    task: Callable[[Context, int], Result], context: Context, items: Sequence[int], *, num_workers: int
) -> Iterator[Result]:
    """`task(context, item)` for each item; results in the order in which they are ready.

    `context` travels to each worker once. At most two items a worker are under way, so that memory does not grow
    with their number. The first error is raised here after the items under way are done; no further one is begun.
    """
    if num_workers <= 1:
        for item in items:
            yield task(context, item)
        return
    # Spawned, not forked: the connections of an S3 file system do not survive a fork.
    pool = ProcessPoolExecutor(
        min(num_workers, max(1, len(items))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(task, context),
    )
    with pool:
        try:
            yield from _in_flight(pool, items, limit=2 * num_workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_flight(pool: ProcessPoolExecutor, items: Sequence[int], *, limit: int) -> Iterator[Any]:
    running: set[Future[Any]] = set()
    for item in items:
        running.add(pool.submit(_run_in_worker, item))
        if len(running) >= limit:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


_worker: tuple[Callable[[Any, int], Any], Any] | None = None


def _start_worker(task: Callable[[Any, int], Any], context: Any) -> None:
    global _worker
    _worker = (task, context)
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's workers outlive a parent that was killed, and would hold its files and memory for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinels([parent.sentinel])
        os._exit(1)


def _run_in_worker(item: int) -> Any:
    assert _worker is not None, "the pool's initializer runs first"
    task, context = _worker
    return task(context, item)
