"""steps.jsonl: one line of JSON an update, each update exactly once, however often the run was killed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from ovlab.files.whole_file import write_text


class StepRecord(NamedTuple):
    """One update. `step` counts from 1; the rate is that outside the image encoder; the norm is before clipping.

    `data_seconds`: of the update's time, what it waited for its images; None in a log that does not tell.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    images_per_second: float
    data_seconds: float | None = None


class StepLog:
    """Appends lines. Each is handed to the kernel at once, so that SIGKILL loses none."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, record: StepRecord) -> None:
        self.file.write(json.dumps(record._asdict()) + "\n")
        self.file.flush()

    def sync(self) -> None:
        """Wait until every line is on the disk; before a checkpoint that must not be ahead of the log."""
        os.fsync(self.file.fileno())


@contextmanager
def open_step_log(path: Path, *, num_done: int) -> Iterator[StepLog]:
    """Continue the log behind update `num_done`; lines of later updates, and a half-written one, are removed."""
    if path.exists():
        kept = [json.dumps(record._asdict()) + "\n" for record in read_step_log(path) if record.step <= num_done]
        write_text(path, "".join(kept))
    with path.open("a", encoding="utf-8") as file:
        yield StepLog(file)


def read_step_log(path: Path) -> list[StepRecord]:
    """The whole lines of a log, in order. A last line without its end, as SIGKILL may leave it, is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [StepRecord(**json.loads(line)) for line in lines if line.endswith("\n")]
