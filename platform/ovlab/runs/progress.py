"""How far a loop is: a live line on a terminal, a plain line now and then anywhere else."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

from ovlab.runs.observer import Observer
from ovlab.specs.events import Begun, Counts, Status, Step, Validated
from ovlab.specs.wording import clock, percent
from ovlab.store.record import EvaluationRecord, TrainingRecord

# Seconds between two plain lines, and over which the speed is averaged.
PLAIN_INTERVAL = 10.0
SPEED_WINDOW = 30.0


class Progress:
    """Turns bare updates into figures: remembers a window of them for the speed, the last loss and the last `score`.
    `show` is given what is done, and the figures as text."""

    def __init__(
        self, total: int, images_per_unit: int, show: Callable[[int, str], object], clock: Callable[[], float]
    ) -> None:
        self.total, self.images_per_unit, self.show, self.clock = total, images_per_unit, show, clock
        self.window: deque[tuple[float, int]] = deque()
        self.loss: float | None = None
        self.score = ""

    def update(self, done: int, loss: float | None = None) -> None:
        """`done` of the total are. The first call says where the loop starts, so that a resumed run does not count what
        was done before."""
        now = self.clock()
        self.window.append((now, done))
        while len(self.window) > 2 and now - self.window[0][0] > SPEED_WINDOW:
            self.window.popleft()
        self.loss = self.loss if loss is None else loss
        self.show(done, ", ".join(self._figures(done)))

    def _figures(self, done: int) -> Iterator[str]:
        if self.loss is not None:
            yield f"loss {self.loss:.4g}"
        if self.score:
            yield self.score
        (start, first), (now, last) = self.window[0], self.window[-1]
        if last > first and now > start:
            speed = (last - first) / (now - start)
            yield f"{speed * self.images_per_unit:.3g} images/s"
            yield f"ETA {clock((self.total - done) / speed)}"


class _PlainLines:
    """One line every PLAIN_INTERVAL seconds, and one at the end."""

    def __init__(self, title: str, total: int, console: Console, clock: Callable[[], float]) -> None:
        self.title, self.total, self.console, self.clock = title, total, console, clock
        self.printed_at = clock()
        self.unprinted: str | None = None

    def show(self, done: int, figures: str) -> None:
        self.unprinted = f"{self.title} {done}/{self.total}" + (f", {figures}" if figures else "")
        if self.clock() - self.printed_at >= PLAIN_INTERVAL:
            self.print_last()

    def print_last(self) -> None:
        if self.unprinted is not None:
            # No markup, no wrapping: a log line stays one line.
            self.console.print(self.unprinted, markup=False, soft_wrap=True)
            self.printed_at, self.unprinted = self.clock(), None


def open_display(console: Console | None = None) -> RichProgress:
    """Where the lines of several loops stand below one another, as a context manager; nothing without a terminal."""
    console = Console(stderr=True) if console is None else console
    figures = TextColumn("{task.fields[figures]}")
    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), figures
    return RichProgress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def open_progress(
    title: str,
    *,
    total: int,
    unit: str,
    images_per_unit: int = 1,
    display: RichProgress | None = None,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """A progress line for `total` units (steps, images), of `images_per_unit` images each: one of `display`, which it
    leaves at its end, or on `console`, the standard error stream by default, so that standard output stays for
    results."""
    with nullcontext(display) if display is not None else open_display(console) as shown:
        if shown.console.is_terminal:
            task = shown.add_task(f"{title} ({unit})", total=total, figures="")

            def show(done: int, figures: str) -> None:
                shown.update(task, completed=done, figures=figures)

            try:
                yield Progress(total, images_per_unit, show, clock)
            finally:
                shown.update(task, visible=display is None)
            return
        console = shown.console
    plain = _PlainLines(f"{title}: {unit}", total, console, clock)
    try:
        yield Progress(total, images_per_unit, plain.show, clock)
    finally:
        plain.print_last()


class ProgressLine(Observer):
    """A line for the training of a run, and one for all of its evaluations that begin together. `name` stands before
    them where there are several runs, on one `display`."""

    def __init__(self, name: str = "", display: RichProgress | None = None) -> None:
        self.name, self.display = name, display
        self.lines = ExitStack()
        self.line: Progress | None = None
        self.total = self.num_done = 0

    def on_wait(self, missing: str) -> None:
        said = f"{self.name}: waits for room: {missing}" if self.name else f"waits for room: {missing}"
        print(said, file=sys.stderr)

    def on_begin(self, begun: Begun) -> None:
        if begun.work == "training":
            self._open("train", begun.fingerprint, begun.total, "step", begun.batch_size).update(begun.num_done)
        else:
            self.total, self.num_done = self.total + begun.total, self.num_done + begun.num_done

    def on_step(self, step: Step) -> None:
        if self.line is not None:
            self.line.update(step.step, step.loss)

    def on_validation(self, validated: Validated) -> None:
        if self.line is not None:
            miou = percent(validated.figures.get("miou"))
            self.line.score = f"mIoU {miou} % at {validated.step}"
            self.line.update(validated.step)

    def on_counts(self, counts: Counts) -> None:
        if self.line is None:
            self.line = self._open("evaluate", counts.subject, self.total, "image", 1)
            self.line.update(self.num_done)
        self.num_done += counts.num_images
        self.line.update(self.num_done)

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        if isinstance(record, TrainingRecord):
            self._close()

    def on_end(self, status: Status, reason: str) -> None:
        self._close()
        self.total = self.num_done = 0

    def _open(self, work: str, run: str, total: int, unit: str, images_per_unit: int) -> Progress:
        self._close()
        title = f"{self.name}: {work}" if self.name else f"{work} {run[:12]}"
        line = open_progress(title, total=total, unit=unit, images_per_unit=images_per_unit, display=self.display)
        self.line = self.lines.enter_context(line)
        return self.line

    def _close(self) -> None:
        self.lines.close()
        self.line = None
