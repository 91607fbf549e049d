"""CPU seconds of the parts of a program, by the functions that do them; the program is not changed for it."""

import functools
import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from threading import local
from typing import Any


class PhaseClock:
    """CPU seconds by phase, of the thread that calls: what one phase calls of another counts for the inner one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._thread = local()

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose calls count for `phase`."""

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            outer = getattr(self._thread, "inside", 0.0)
            self._thread.inside = 0.0
            began = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                seconds = time.thread_time() - began
                self.seconds[phase] += seconds - self._thread.inside
                self._thread.inside = outer + seconds

        return call

    def watch(self, phases: Mapping[str, Iterable[str]]) -> None:
        """Time functions where they are looked up: "module:name" or "module:Class.name"."""
        for phase, places in phases.items():
            for place in places:
                module, _, path = place.partition(":")
                *owners, name = path.split(".")
                owner = functools.reduce(getattr, owners, importlib.import_module(module))
                setattr(owner, name, self.timed(phase, getattr(owner, name)))
