import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from logoseg.config import SlidingWindow
from logoseg.ops import sliding_window_cpu
from logoseg.ops.sliding_window import stretched_scores, winners_from_windows, winners_from_windows_in_chunks
from logoseg.ops.upsample_argmax import Winners

UNEVEN = SlidingWindow(size=20, kernel=12, stride=5, input_size=12)  # windows at 0, 5 and 8
OFFSETS = (0, 5, 8)
LIMIT = 2**24


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


class LargestTensor(TorchDispatchMode):
    """Watches every operation inside it for the number of bytes of the largest tensor that one returns."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.num_bytes = max(self.num_bytes, result.numel() * result.element_size())
        return result


def bilinear(grid: list[list[float]], rows: int, columns: int) -> list[list[float]]:
    """Textbook bilinear resize with pixel centres at halves."""

    def taps(num_sources: int, num_pixels: int, pixel: int) -> tuple[int, int, float]:
        position = min(max((pixel + 0.5) * num_sources / num_pixels - 0.5, 0), num_sources - 1)
        return math.floor(position), min(math.floor(position) + 1, num_sources - 1), position % 1

    result = []
    for i in range(rows):
        above, below, y = taps(len(grid), rows, i)
        line = []
        for j in range(columns):
            left, right, x = taps(len(grid[0]), columns, j)
            top = (1 - x) * grid[above][left] + x * grid[above][right]
            line.append((1 - y) * top + y * ((1 - x) * grid[below][left] + x * grid[below][right]))
        result.append(line)
    return result


def sigmoids(grid: list[list[float]]) -> list[list[float]]:
    return [[1 / (1 + math.exp(-value)) for value in line] for line in grid]


def scores_by_loops(logits: Tensor, global_view: bool, height: int, width: int) -> Tensor:
    """Steps 6-10 of the sheet for UNEVEN, pixel by pixel in Python's float64."""
    planes = []
    for n in range(logits.shape[1]):
        views = [sigmoids(bilinear(view[n].double().tolist(), 12, 12)) for view in logits]
        whole = bilinear(views[-1], 20, 20)
        plane = []
        for i in range(20):
            line = []
            for j in range(20):
                seen = [
                    views[3 * row + column][i - y][j - x]
                    for row, y in enumerate(OFFSETS)
                    for column, x in enumerate(OFFSETS)
                    if 0 <= i - y < 12 and 0 <= j - x < 12
                ]
                mean = sum(seen) / len(seen)
                line.append((mean + whole[i][j]) / 2 if global_view else mean)
            plane.append(line)
        planes.append(bilinear(plane, height, width))
    return torch.tensor(planes, dtype=torch.float64)


def on_cpu(logits: Tensor, inference: SlidingWindow, size: tuple[int, int]) -> Winners:
    return winners_from_windows(logits, inference, size, memory_limit_bytes=LIMIT)


def in_chunks(logits: Tensor, inference: SlidingWindow, size: tuple[int, int]) -> Winners:
    return winners_from_windows_in_chunks(logits, inference, size, memory_limit_bytes=LIMIT)


def in_chunks_of_one(logits: Tensor, inference: SlidingWindow, size: tuple[int, int]) -> Winners:
    return winners_from_windows_in_chunks(logits, inference, size, memory_limit_bytes=1)


BACKENDS = [on_cpu, in_chunks, in_chunks_of_one]


def assert_wins(winners: Winners, scores: Tensor) -> None:
    """The chosen class has the largest score, up to rounding, and that score is given."""
    best = scores.amax(dim=0)
    torch.testing.assert_close(scores.gather(0, winners.labels.long()[None])[0], best, atol=1e-5, rtol=0)
    torch.testing.assert_close(winners.scores.to(best), best, atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("global_view", [True, False])
@pytest.mark.parametrize(("grid", "size"), [((4, 4), (17, 33)), ((12, 12), (20, 20)), ((3, 5), (41, 9))])
def test_winners_from_windows_agree_with_python_loops(
    grid: tuple[int, int], size: tuple[int, int], global_view: bool, backend: Any
) -> None:
    inference = SlidingWindow(size=20, kernel=12, stride=5, input_size=12, global_view=global_view)
    logits = 3 * torch.randn(9 + global_view, 3, *grid)

    winners = backend(logits, inference, size)

    assert_wins(winners, scores_by_loops(logits, global_view, *size))


@pytest.mark.parametrize("global_view", [True, False])
def test_stretched_scores_of_constant_logits_are_their_sigmoid(global_view: bool) -> None:
    """Holds only if each pixel is divided by the number of windows that see it."""
    inference = SlidingWindow(size=20, kernel=12, stride=5, input_size=12, global_view=global_view)
    logits = torch.full((9 + global_view, 2, 4, 4), 0.7)

    stretched = stretched_scores(logits, inference)

    torch.testing.assert_close(stretched, torch.full((2, 20, 20), 1 / (1 + math.exp(-0.7))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sharpness", [0.3, 3.0, 30.0])
def test_winners_from_windows_large_vocabulary_both_backends_agree(sharpness: float, dtype: torch.dtype) -> None:
    """Tiles of several sizes, most classes left out of most tiles, saturated sigmoids."""
    inference = SlidingWindow(size=80, kernel=48, stride=32, input_size=48)
    scene = torch.nn.functional.interpolate(torch.randn(1, 60, 5, 5), (20, 20), mode="bicubic")[0]
    windows = [scene[:, y : y + 12, x : x + 12] for y in (0, 8) for x in (0, 8)]
    logits = sharpness * torch.stack([*windows, scene[:, ::2, ::2].repeat(1, 2, 2)[:, :12, :12]]).to(dtype)

    winners = on_cpu(logits, inference, (70, 101))

    expected = in_chunks(logits, inference, (70, 101))
    torch.testing.assert_close(winners.scores, expected.scores, atol=2e-6, rtol=0)
    stretched = stretched_scores(logits, inference)[None]
    assert_wins(winners, torch.nn.functional.interpolate(stretched, (70, 101), mode="bilinear")[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_winners_from_windows_equal_classes_lowest_wins(backend: Any) -> None:
    plane = torch.randn(10, 1, 4, 4)
    # The last class has no part in the tie: torch takes the sigmoid of the last few numbers of a tensor by another way
    # than that of the others, and equal numbers may come out a bit apart.
    logits = torch.cat([plane - 1, plane, plane, plane - 1], dim=1)

    assert backend(logits, UNEVEN, (25, 31)).labels.unique().tolist() == [1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_winners_from_windows_one_class_is_everywhere(backend: Any) -> None:
    assert backend(torch.randn(10, 1, 4, 4), UNEVEN, (25, 31)).labels.unique().tolist() == [0]


def test_winners_from_windows_several_threads_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(10, 7, 4, 4)
    alone = on_cpu(logits, UNEVEN, (90, 70))
    monkeypatch.setattr(sliding_window_cpu, "TILE_SIDE", 8)
    monkeypatch.setattr("logoseg.ops.compiled.torch.get_num_threads", lambda: 4)

    winners = on_cpu(logits, UNEVEN, (90, 70))

    assert torch.equal(winners.labels, alone.labels)
    assert torch.equal(winners.scores, alone.scores)


def test_winners_from_windows_in_chunks_holds_no_more_than_the_limit() -> None:
    logits = torch.randn(10, 40, 4, 4)
    bytes_per_class = 4 * (2 * 20**2 + 12**2 + 25 * 31)

    with LargestTensor() as watch:
        winners_from_windows_in_chunks(logits, UNEVEN, (25, 31), memory_limit_bytes=3 * bytes_per_class)

    assert watch.num_bytes == 3 * 4 * 25 * 31  # three classes at a time
