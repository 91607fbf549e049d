"""Seconds and peak memory of a call, measured the same way for every contender of a comparison."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

# Calls that took so long together are not repeated.
ENOUGH_SECONDS = 5.0


class Measurement(NamedTuple):
    """Median seconds over the repeats, and the rise of the resident set above its start, in bytes."""

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


def measure_cpu(call: Callable[[], object], *, repeats: int = 5) -> Measurement:
    """The same by the processor time of this process, which the load of the machine hardly moves.

    A call that takes ENOUGH_SECONDS is made once, cold; of others the first does not count.
    """
    times: list[float] = []

    def timed() -> None:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)

    peak = peak_bytes(timed)
    if times[0] < ENOUGH_SECONDS:
        times.clear()
        while len(times) < repeats and sum(times) < ENOUGH_SECONDS:
            timed()
        peak = peak_bytes(call)
    return Measurement(seconds=statistics.median(times), peak_bytes=peak)


def peak_bytes(call: Callable[[], object]) -> int:
    """How far the resident set rises above its start while `call` runs once, in bytes."""
    _return_free_memory()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to the present VmRSS
    start = status_bytes("VmRSS")
    call()
    return max(0, status_bytes("VmHWM") - start)


def status_bytes(field: Literal["VmRSS", "VmHWM"], process: str = "self") -> int:
    """The resident set of a process now, or at its largest, in bytes; 0 of another one that has ended.

    Raises RuntimeError where the kernel does not tell it of this process.
    """
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    if process == "self":
        raise RuntimeError(f"/proc/self/status has no field {field}")
    return 0


def _return_free_memory() -> None:
    """Hand freed pages back to the kernel; otherwise a call that re-uses them would seem to need no memory."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
