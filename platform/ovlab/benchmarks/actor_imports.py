"""What an actor imports before it can open a network, timed in the actor: it differs by seconds from run to run."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from torch import nn

import ovlab


@dataclass(frozen=True, slots=True)
class TimedOpener:
    """`opener`, that first leaves in `folder` how many seconds the imports of its process took until then."""

    opener: Callable[[], nn.Module]
    folder: Path

    def __call__(self) -> nn.Module:
        seconds = time.perf_counter() - ovlab.IMPORT_BEGAN
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / uuid.uuid4().hex).write_text(repr(seconds))
        return self.opener()

    def seconds(self) -> float:
        """The mean over the actors that opened a network."""
        return fmean(float(path.read_text()) for path in self.folder.iterdir())
