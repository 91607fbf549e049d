"""An observer made of functions, for tests that hear of one thing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovlab.runs.observer import Observer
from ovlab.specs.events import Counts, Step, Validated


class Hearing(Observer):
    """Calls each function for each event of its kind."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self.functions = functions

    def on_step(self, step: Step) -> None:
        self._call("on_step", step)

    def on_validation(self, validated: Validated) -> None:
        self._call("on_validation", validated)

    def on_checkpoint(self, step: int, path: Path) -> None:
        self._call("on_checkpoint", step, path)

    def on_counts(self, counts: Counts) -> None:
        self._call("on_counts", counts)

    def _call(self, kind: str, *arguments: Any) -> None:
        if kind in self.functions:
            self.functions[kind](*arguments)
