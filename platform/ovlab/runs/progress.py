"""How far a loop is: a live line on a terminal, a plain line now and then anywhere else."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from ovlab.runs.observer import Observer
from ovlab.specs.events import Begun, Counts, Status, Step
from ovlab.specs.wording import clock, percent
from ovlab.store.record import EvaluationRecord, TrainingRecord

# Seconds between two plain lines, and over which the speed is averaged.
PLAIN_INTERVAL = 10.0
SPEED_WINDOW = 30.0


@runtime_checkable
class Progress(Protocol):
    """What a loop tells: `done` of its total, and the latest figures that it knows."""

    def update(self, done: int, *, loss: float | None = None, miou: float | None = None) -> None: ...


@contextmanager
def open_progress(
    title: str,
    *,
    total: int,
    unit: str,
    images_per_unit: int = 1,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """A progress line for `total` units (steps, images), of `images_per_unit` images each.

    The first `update` says where the loop starts, so that a resumed run does not count what was done before. It is
    written to `console`, the standard error stream by default, so that standard output stays for results.
    """
    console = Console(stderr=True) if console is None else console
    measure = _Figures(title, total, unit, images_per_unit, clock)
    if not console.is_terminal:
        plain = _PlainLines(measure, console)
        try:
            yield plain
        finally:
            plain.print_last()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}")
    with RichProgress(*columns, console=console) as display:
        yield _LiveLine(measure, display, display.add_task(f"{title} ({unit})", total=total, figures=""))


class _Latest(NamedTuple):
    done: int
    figures: str


class _Figures:
    """Turns bare updates into text; remembers a window of them for the speed, and the last loss and mIoU."""

    def __init__(self, title: str, total: int, unit: str, images_per_unit: int, clock: Callable[[], float]) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.images_per_unit = images_per_unit
        self.clock = clock
        self.window: deque[tuple[float, int]] = deque()
        self.loss: float | None = None
        self.miou: float | None = None

    def add(self, done: int, loss: float | None, miou: float | None) -> _Latest:
        now = self.clock()
        self.window.append((now, done))
        while len(self.window) > 2 and now - self.window[0][0] > SPEED_WINDOW:
            self.window.popleft()
        self.loss = self.loss if loss is None else loss
        self.miou = self.miou if miou is None else miou
        return _Latest(done, ", ".join(self._parts(done)))

    def _parts(self, done: int) -> Iterator[str]:
        if self.loss is not None:
            yield f"loss {self.loss:.4g}"
        if self.miou is not None:
            yield f"mIoU {percent(self.miou)} %"
        (start, first), (now, last) = self.window[0], self.window[-1]
        if last > first and now > start:
            speed = (last - first) / (now - start)
            yield f"{speed * self.images_per_unit:.3g} images/s"
            yield f"ETA {clock((self.total - done) / speed)}"


class _PlainLines:
    """One line every PLAIN_INTERVAL seconds, and one at the end."""

    def __init__(self, figures: _Figures, console: Console) -> None:
        self.figures, self.console = figures, console
        self.printed_at = figures.clock()
        self.unprinted: _Latest | None = None

    def update(self, done: int, *, loss: float | None = None, miou: float | None = None) -> None:
        self.unprinted = self.figures.add(done, loss, miou)
        if self.figures.clock() - self.printed_at >= PLAIN_INTERVAL:
            self.print_last()

    def print_last(self) -> None:
        if self.unprinted is None:
            return
        figures, latest = self.figures, self.unprinted
        line = f"{figures.title}: {figures.unit} {latest.done}/{figures.total}"
        # No markup, no wrapping: a log line stays one line.
        self.console.print(f"{line}, {latest.figures}" if latest.figures else line, markup=False, soft_wrap=True)
        self.printed_at, self.unprinted = figures.clock(), None


class _LiveLine:
    """One line of a rich display, redrawn in place."""

    def __init__(self, figures: _Figures, display: RichProgress, task: TaskID) -> None:
        self.figures, self.display, self.task = figures, display, task

    def update(self, done: int, *, loss: float | None = None, miou: float | None = None) -> None:
        latest = self.figures.add(done, loss, miou)
        self.display.update(self.task, completed=latest.done, figures=latest.figures)


class ProgressLine(Observer):
    """A line for the training of a run, and one for all of its evaluations that begin together."""

    def __init__(self, open_line: Callable[..., AbstractContextManager[Progress]] = open_progress) -> None:
        self.open_line = open_line
        self.lines = ExitStack()
        self.line: Progress | None = None
        self.total = self.num_done = 0

    def on_begin(self, begun: Begun) -> None:
        if begun.work == "training":
            self._open(f"train {begun.fingerprint[:12]}", begun.total, "step", begun.batch_size).update(begun.num_done)
        else:
            self.total, self.num_done = self.total + begun.total, self.num_done + begun.num_done

    def on_step(self, step: Step) -> None:
        if self.line is not None:
            self.line.update(step.step, loss=step.loss)

    def on_counts(self, counts: Counts) -> None:
        if self.line is None:
            self.line = self._open(f"evaluate {counts.subject[:12]}", self.total, "image", 1)
            self.line.update(self.num_done)
        self.num_done += counts.num_images
        self.line.update(self.num_done)

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        if isinstance(record, TrainingRecord):
            self._close()

    def on_end(self, status: Status, reason: str) -> None:
        self._close()
        self.total = self.num_done = 0

    def _open(self, title: str, total: int, unit: str, images_per_unit: int) -> Progress:
        self._close()
        self.line = self.lines.enter_context(
            self.open_line(title, total=total, unit=unit, images_per_unit=images_per_unit)
        )
        return self.line

    def _close(self) -> None:
        self.lines.close()
        self.line = None
