"""The grid of tokens: positions for another size, places as a map."""

import pytest
import torch
from torch.nn import functional as F

from logoseg.clip.patch_grid import as_map, patch_grid, require_layers, resize_positions
from logoseg.model_error import ModelError


def test_resize_positions_keeps_cls_and_constant_grids() -> None:
    positions = torch.cat([torch.full((1, 4), 9.0), torch.full((16, 4), 2.0)])

    resized = resize_positions(positions, 6, 3)

    torch.testing.assert_close(resized, torch.cat([torch.full((1, 4), 9.0), torch.full((18, 4), 2.0)]))


def test_resize_positions_equals_torch_bicubic() -> None:
    positions = torch.randn(1 + 9, 5)
    expected = F.interpolate(positions[1:].reshape(1, 3, 3, 5).permute(0, 3, 1, 2), size=(5, 5), mode="bicubic")

    torch.testing.assert_close(resize_positions(positions, 5, 5)[1:], expected.permute(0, 2, 3, 1).reshape(25, 5))


@pytest.mark.parametrize("num_prefix", [0, 2])
def test_resize_positions_keeps_as_many_first_ones_as_stand_for_no_place(num_prefix: int) -> None:
    positions = torch.randn(num_prefix + 9, 5)

    resized = resize_positions(positions, 2, 6, num_prefix)

    assert resized.shape == (num_prefix + 12, 5)
    assert torch.equal(resized[:num_prefix], positions[:num_prefix])
    alone = resize_positions(positions[num_prefix:], 2, 6, 0)
    torch.testing.assert_close(resized[num_prefix:], alone)


def test_resize_positions_is_catmull_rom_of_minus_three_quarters_in_float64_loops() -> None:
    grid = torch.randn(4, 4, dtype=torch.float64)
    positions = torch.cat([torch.zeros(1, 1, dtype=torch.float64), grid.reshape(16, 1)])

    resized = resize_positions(positions, 6, 6)[1:, 0].reshape(6, 6)

    for y in range(6):
        for x in range(6):
            assert resized[y, x].item() == pytest.approx(cubic(grid, (y + 0.5) * 4 / 6 - 0.5, (x + 0.5) * 4 / 6 - 0.5))


def cubic(grid: torch.Tensor, y: float, x: float) -> float:
    """Keys' kernel with a = -0.75 over 4 x 4 neighbours, the border repeated."""

    def weight(distance: float) -> float:
        a, t = -0.75, abs(distance)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0

    total, side = 0.0, len(grid)
    for row in range(int(y // 1) - 1, int(y // 1) + 3):
        for column in range(int(x // 1) - 1, int(x // 1) + 3):
            value = grid[min(max(row, 0), side - 1), min(max(column, 0), side - 1)].item()
            total += weight(y - row) * weight(x - column) * value
    return total


def test_as_map_takes_the_last_tokens_row_by_row() -> None:
    tokens = torch.arange(7.0).view(1, 7, 1)

    assert as_map(tokens, (2, 3)).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]


def test_patch_grid_of_an_image_that_is_no_multiple_names_both() -> None:
    assert patch_grid(torch.zeros(1, 3, 28, 42), 14) == (2, 3)
    with pytest.raises(ModelError, match="28 x 40 pixels; both sides must be multiples of the patch, 14"):
        patch_grid(torch.zeros(1, 3, 28, 40), 14)


def test_require_layers_leaves_the_last_block_to_v() -> None:
    require_layers((0, 1), 3)
    with pytest.raises(ModelError, match=r"block 2; this tower has 0 \.\. 1"):
        require_layers((0, 2), 3)
