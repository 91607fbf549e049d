"""Seconds and peak memory of a call, measured the same way for every contender of a comparison."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Measurement(NamedTuple):
    """Median wall-clock seconds over the repeats, and the rise of the resident set above its start, in bytes."""

    seconds: float
    peak_bytes: int


def measure(call: Callable[[], object], *, repeats: int = 5, warmups: int = 1) -> Measurement:
    """Run `call` warm, then time it `repeats` times, then once more for memory.

    The memory run is apart because watching costs time. Peak memory is that of the whole process (Linux only: the
    kernel's own high-water mark, so that no allocation between two samples is missed).
    """
    for _ in range(warmups):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return Measurement(seconds=statistics.median(times), peak_bytes=peak_bytes(call))


def peak_bytes(call: Callable[[], object]) -> int:
    """How far the resident set rises above its start while `call` runs once, in bytes."""
    _return_free_memory()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to the present VmRSS
    start = _status_bytes("VmRSS")
    call()
    return max(0, _status_bytes("VmHWM") - start)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no field {field}")


def _return_free_memory() -> None:
    """Hand freed pages back to the kernel; otherwise a call that re-uses them would seem to need no memory."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
