"""A call in a fresh process, with its seconds and the memory of that process and of the workers it starts."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from ovlab.benchmarks.measure import status_bytes

# Seconds between two looks at the workers. The kernel keeps each one's high-water mark in between.
POLL_INTERVAL = 0.05


class ChildMeasurement(NamedTuple):
    """Wall-clock and CPU seconds of the call, its workers included, though not the start of its own process; peak
    resident bytes of that process, and of its largest worker."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    worker_peak_bytes: int


def measure_in_child(call: Callable[..., object], *arguments: Any) -> ChildMeasurement:
    """Run `call(*arguments)` in a fresh process. It must be a function of an importable module.

    Unlike the rise within a process, the peak of a fresh one holds nothing that an earlier call left behind.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_measure, args=(there, call, arguments))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        raise RuntimeError(f"{call.__name__} failed in its process; its traceback is above") from None
    finally:
        process.join()


def _measure(connection: Connection, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    peaks = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch_workers, args=(peaks, ended), daemon=True)
    watcher.start()
    start, cpu_start = time.perf_counter(), _cpu_seconds()
    call(*arguments)
    seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds() - cpu_start
    ended.set()
    watcher.join()
    connection.send(ChildMeasurement(seconds, cpu_seconds, status_bytes("VmHWM"), peaks[0]))


def _cpu_seconds() -> float:
    """Of this process and of the workers that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _watch_workers(peaks: list[int], ended: threading.Event) -> None:
    while not ended.wait(POLL_INTERVAL):
        for process in multiprocessing.active_children():
            peaks[0] = max(peaks[0], status_bytes("VmHWM", str(process.pid)))
