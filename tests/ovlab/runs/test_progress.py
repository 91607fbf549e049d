import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from ovlab.runs.progress import open_progress


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
