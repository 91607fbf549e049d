"""Loops compiled to machine code by Numba, for the few places where array operations would need large temporaries."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import torch


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code for arrays of any size, kept on disk for the next process where a folder for it can be written.

    Put `typing.no_type_check` below it: shape checkers wrap functions, and what they wrap cannot be compiled. Call
    compiled functions of the same file only: the code on disk is renewed when its own file changes.
    """
    return _compile(function, fastmath=False)


def compiled_sums(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, but sums run in an order that the compiler chooses, as many terms at once as a register holds."""
    return _compile(function, fastmath={"reassoc", "contract", "nsz"})


def _compile(function: Callable[..., Any], *, fastmath: bool | set[str]) -> Callable[..., Any]:
    # Dividing by zero gives infinity or NaN, as in NumPy: a loop that looks whether to raise cannot use the registers.
    options: dict[str, Any] = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation without a home folder
        return numba.njit(**options)(function)


def run_on_threads(task: Callable[[int], None], items: Iterable[int], *, num_threads: int) -> None:
    """Run `task` on every item, on at most as many threads as torch uses.

    Threads of Python: numba's own end the process when two Python threads start them at once.
    """
    num_threads = min(num_threads, torch.get_num_threads())
    if num_threads <= 1:
        for item in items:
            task(item)
        return
    with ThreadPoolExecutor(num_threads) as pool:
        for _ in pool.map(task, items):  # asks each task for its result, so that errors arrive here
            pass
