import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from ovlab.runs.progress import ProgressLine, open_display, open_progress
from ovlab.specs.events import Begun, Step


@pytest.fixture
def seconds() -> Iterator[list[float]]:
    """A clock that a test turns by hand: its only item is the time."""
    return [0.0]


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_progress_without_a_terminal_prints_a_plain_line_now_and_then(seconds: list[float]) -> None:
    console = Console(file=io.StringIO(), width=40)
    with open_progress(
        "train", total=100, unit="step", images_per_unit=4, console=console, clock=lambda: seconds[0]
    ) as progress:
        for done in range(26):
            progress.update(done, loss=0.5)
            seconds[0] += 1.0

    # one step of four images a second; the last line comes at the end
    assert lines(console) == [
        "train: step 10/100, loss 0.5, 4 images/s, ETA 0:01:30",
        "train: step 20/100, loss 0.5, 4 images/s, ETA 0:01:20",
        "train: step 25/100, loss 0.5, 4 images/s, ETA 0:01:15",
    ]


def test_progress_of_a_resumed_loop_does_not_count_what_was_done_before(seconds: list[float]) -> None:
    console = Console(file=io.StringIO(), width=200)
    with open_progress("train", total=10000, unit="step", console=console, clock=lambda: seconds[0]) as progress:
        progress.update(9000)
        seconds[0] = 20.0
        progress.update(9010)

    assert lines(console) == ["train: step 9010/10000, 0.5 images/s, ETA 0:33:00"]


def test_progress_keeps_the_last_loss(seconds: list[float]) -> None:
    console = Console(file=io.StringIO(), width=200)
    with open_progress("train", total=9, unit="step", console=console, clock=lambda: seconds[0]) as progress:
        progress.update(1, loss=0.25)
        progress.update(2)

    assert lines(console) == ["train: step 2/9, loss 0.25"]


def test_progress_of_a_loop_that_never_ran_prints_nothing() -> None:
    console = Console(file=io.StringIO())
    with open_progress("evaluate", total=9, unit="image", console=console):
        pass

    assert lines(console) == []


def test_progress_of_a_loop_that_fails_prints_how_far_it_came(seconds: list[float]) -> None:
    console = Console(file=io.StringIO())

    def fail_at_four() -> None:
        with open_progress("evaluate", total=9, unit="image", console=console, clock=lambda: seconds[0]) as progress:
            progress.update(4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_at_four()

    assert lines(console) == ["evaluate: image 4/9"]


def test_progress_on_a_terminal_shows_count_and_figures_on_one_line(seconds: list[float]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with open_progress("train", total=8, unit="step", console=console, clock=lambda: seconds[0]) as progress:
        progress.update(0)
        seconds[0] = 2.0
        progress.update(4, loss=0.5)

    last = console.file.getvalue().split("train (step)")[-1]
    assert "4/8" in last
    assert "loss 0.5, 2 images/s, ETA 0:00:02" in last


def begun(total: int) -> Begun:
    return Begun(work="training", fingerprint="f" * 64, device="cpu", num_gpus=0, total=total)


def step(number: int, loss: float) -> Step:
    return Step(step=number, loss=loss, learning_rate=0.1, grad_norm=1.0, images_per_second=1.0)


def test_runs_at_once_have_a_line_each_on_one_display() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with open_display(console) as display:
        first, second = (ProgressLine(name, display) for name in ("first", "second"))
        first.on_begin(begun(8))
        second.on_begin(begun(6))
        first.on_step(step(4, 0.5))
        second.on_step(step(3, 0.25))
        display.refresh()
        shown = [task.description for task in display.tasks if task.visible]
        first.on_end("FINISHED", "")
        left = [task.description for task in display.tasks if task.visible]

    assert shown == ["first: train (step)", "second: train (step)"]
    assert left == ["second: train (step)"]
    text = console.file.getvalue()
    assert "4/8 loss 0.5" in text
    assert "3/6 loss 0.25" in text


def test_runs_at_once_without_a_terminal_have_plain_lines_with_their_names() -> None:
    console = Console(file=io.StringIO(), width=40)
    with open_display(console) as display:
        line = ProgressLine("[1/2] table4 zero-6", display)
        line.on_begin(begun(8))
        line.on_step(step(4, 0.5))
        line.on_end("KILLED", "stopped")

    (told,) = lines(console)
    assert told.startswith("[1/2] table4 zero-6: train: step 4/8, loss 0.5")
