import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from logoseg.ops import upsample_argmax_cpu
from logoseg.ops.upsample_argmax import (
    Winners,
    all_finite,
    cell_bounds,
    classes_that_can_win,
    upsample_argmax,
    upsample_max,
    upsample_max_in_chunks,
)

# N, h, w, H, W: one row, one column, one score, one class, shrinking, mixed, equal, many classes.
SIZES = [
    (5, 6, 7, 31, 40),
    (3, 1, 9, 4, 20),
    (4, 7, 1, 9, 3),
    (2, 1, 1, 5, 6),
    (1, 4, 4, 9, 9),
    (6, 33, 17, 8, 5),
    (6, 9, 31, 40, 10),
    (7, 5, 5, 5, 5),
    (5, 4, 4, 1, 1),
    (150, 12, 12, 64, 85),
]


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
        for tensor in result if isinstance(result, tuple) else (result,):
            if isinstance(tensor, Tensor):
                self.num_bytes = max(self.num_bytes, tensor.numel() * tensor.element_size())
        return result


def in_chunks_of_one(scores: Tensor, size: tuple[int, int]) -> Winners:
    return upsample_max_in_chunks(scores, size, memory_limit_bytes=1)


def in_one_chunk(scores: Tensor, size: tuple[int, int]) -> Winners:
    return upsample_max_in_chunks(scores, size, memory_limit_bytes=2**30)


BACKENDS = [upsample_max, in_chunks_of_one, in_one_chunk]


def smooth(num_classes: int, height: int, width: int) -> Tensor:
    waves = torch.randn(1, num_classes, 3, 3)
    return 3 * F.interpolate(waves, (height, width), mode="bicubic")[0] + torch.randn(num_classes, 1, 1)


def assert_wins(winners: Winners, up: Tensor) -> None:
    """Wherever it is the naive labels or not: the chosen class scores the naive way's maximum, up to rounding."""
    best = up.amax(dim=0)
    chosen = up.gather(0, winners.labels.long()[None])[0]
    torch.testing.assert_close(chosen, best, atol=1e-5, rtol=0)
    torch.testing.assert_close(winners.scores.to(best), best, atol=1e-5, rtol=0)


def bilinear_by_loops(scores: list[list[float]], height: int, width: int) -> list[list[float]]:
    """Textbook bilinear resize with pixel centres at halves, in Python's float64."""
    rows, columns = len(scores), len(scores[0])
    result = []
    for i in range(height):
        y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
        line = []
        for j in range(width):
            x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
            value = 0.0
            for row in range(rows):
                for column in range(columns):
                    value += scores[row][column] * max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            line.append(value)
        result.append(line)
    return result


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [smooth, torch.randn])
@pytest.mark.parametrize("shape", SIZES)
def test_upsample_max_any_shape_agrees_with_interpolate_and_argmax(shape: Any, make: Any, backend: Any) -> None:
    num_classes, *grid, height, width = shape
    scores = make(num_classes, *grid)

    winners = backend(scores, (height, width))

    assert winners.labels.dtype == torch.int32
    assert_wins(winners, F.interpolate(scores.double()[None], (height, width), mode="bilinear")[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [(11, 9), (2, 3), (3, 17)])
def test_upsample_max_agrees_with_python_loops(backend: Any, size: tuple[int, int]) -> None:
    scores = torch.randn(4, 5, 4)

    up = torch.tensor([bilinear_by_loops(plane.double().tolist(), *size) for plane in scores], dtype=torch.float64)

    assert_wins(backend(scores, size), up)


@pytest.mark.parametrize("backend", BACKENDS)
def test_upsample_max_equal_classes_lowest_wins(backend: Any) -> None:
    plane = torch.randn(6, 6)
    scores = torch.stack([plane - 1, plane, plane, plane - 2, plane])

    assert backend(scores, (20, 31)).labels.unique().tolist() == [1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_upsample_max_constant_classes_lowest_wins(backend: Any) -> None:
    assert backend(torch.zeros(5, 3, 4), (7, 9)).labels.unique().tolist() == [0]


def test_upsample_argmax_reordered_classes_reorders_labels() -> None:
    scores, order = smooth(6, 8, 8), torch.tensor([3, 0, 5, 4, 1, 2])

    reordered = upsample_argmax(scores[order], (30, 41))

    assert torch.equal(order[reordered.long()], upsample_argmax(scores, (30, 41)).long())


def test_upsample_argmax_class_masked_by_a_low_score_never_wins() -> None:
    scores = torch.randn(5, 8, 8)
    scores[2] = -100

    assert 2 not in upsample_argmax(scores, (30, 41)).unique()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf, -math.inf])
def test_all_finite_finds_one_value_in_any_order_of_memory(bad: float, axes: tuple[int, int, int]) -> None:
    values = torch.zeros(3, 4, 5)
    values[2, 3, 4] = bad

    assert all_finite(values.permute(axes)[:, 1:]) == math.isfinite(bad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_upsample_argmax_score_not_finite_is_refused(bad: float) -> None:
    scores = torch.randn(3, 4, 4)
    scores[1, 2, 3] = bad

    with pytest.raises(ValueError, match="finite"):
        upsample_argmax(scores, (8, 8))


@pytest.mark.parametrize(("shape", "size"), [((0, 4, 4), (8, 8)), ((2, 0, 4), (8, 8)), ((2, 4, 4), (0, 8))])
def test_upsample_argmax_empty_axis_is_refused(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="empty"):
        upsample_argmax(torch.zeros(shape), size)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_upsample_max_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    scores = torch.randn(4, 5, 5).to(dtype)

    winners, expected = upsample_max(scores, (17, 12)), upsample_max(scores.float(), (17, 12))

    assert torch.equal(winners.labels, expected.labels)
    assert torch.equal(winners.scores, expected.scores)


def test_upsample_max_float64_keeps_its_precision() -> None:
    scores = torch.randn(4, 5, 5, dtype=torch.float64)

    winners = upsample_max(scores, (17, 12))

    up = F.interpolate(scores[None], (17, 12), mode="bilinear")[0]
    torch.testing.assert_close(winners.scores, up.amax(dim=0), atol=1e-13, rtol=0)


def test_upsample_argmax_strided_scores_that_require_gradients_are_read() -> None:
    scores = torch.randn(5, 4, 6, requires_grad=True)

    labels = upsample_argmax(scores.permute(2, 0, 1), (9, 11))

    assert torch.equal(labels, upsample_argmax(scores.detach().permute(2, 0, 1).contiguous(), (9, 11)))


def test_upsample_max_several_threads_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(9, 13, 11)
    alone = upsample_max(scores, (50, 47))
    monkeypatch.setattr(upsample_argmax_cpu, "SCORES_PER_THREAD", 100)
    monkeypatch.setattr("logoseg.ops.compiled.torch.get_num_threads", lambda: 4)

    with ThreadPoolExecutor(3) as pool:  # and called from several threads at once
        for winners in pool.map(upsample_max, [scores] * 6, [(50, 47)] * 6):
            assert torch.equal(winners.labels, alone.labels)
            assert torch.equal(winners.scores, alone.scores)


def test_upsample_argmax_new_shapes_compile_nothing() -> None:
    upsample_argmax(torch.randn(2, 3, 3), (5, 5))
    compiled = list(upsample_argmax_cpu._decide_rows.signatures)

    for shape, size in [((3, 4, 5), (9, 9)), ((1, 1, 1), (1, 1)), ((2, 30, 30), (4, 4))]:
        upsample_argmax(torch.randn(shape).transpose(1, 2), size)

    assert upsample_argmax_cpu._decide_rows.signatures == compiled


def test_upsample_max_on_a_cpu_allocates_no_more_than_maps_and_rows() -> None:
    scores, size = torch.randn(64, 24, 24), (200, 300)
    upsample_max(scores, size)

    tracemalloc.start()
    try:
        upsample_max(scores, size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    two_maps = 2 * 200 * 300 * 4
    assert two_maps <= peak < two_maps + 100_000  # beside them, the geometry of 500 rows and columns


def test_upsample_max_in_chunks_holds_no_more_than_the_limit() -> None:
    scores, size, limit = torch.randn(40, 6, 6), (60, 70), 5 * 60 * 70 * 4

    with LargestTensor() as watch:
        upsample_max_in_chunks(scores, size, memory_limit_bytes=limit)

    assert watch.num_bytes == limit  # five classes at a time


def test_classes_that_can_win_loser_everywhere_is_dropped_winner_of_one_cell_is_kept() -> None:
    scores = torch.zeros(4, 6, 6)
    scores[0] = 1.0
    scores[1, 2, 3] = 5.0  # wins around one coarse score
    scores[2] = -1.0
    scores[3] = 1.0  # ties everywhere

    lower, upper = cell_bounds(scores)

    assert classes_that_can_win(lower.flatten(1), upper.flatten(1)).tolist() == [0, 1, 3]


def test_cell_bounds_hold_every_bilinear_value_of_the_cell() -> None:
    scores = torch.randn(3, 5, 4, dtype=torch.float64)

    lower, upper = cell_bounds(scores)

    up = F.interpolate(scores[None], (50, 40), mode="bilinear", align_corners=False)[0]
    for i in range(50):
        for j in range(40):
            cell = max(int((i + 0.5) / 10 - 0.5), 0), max(int((j + 0.5) / 10 - 0.5), 0)
            assert (up[:, i, j] >= lower[:, *cell] - 1e-12).all()
            assert (up[:, i, j] <= upper[:, *cell] + 1e-12).all()
