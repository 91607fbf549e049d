"""SS2D: the four paths, their sum, and the whole block against loops in float64."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from logoseg.state_space import INITIAL_STEP_SIZES, SS2D, cross_merge, cross_scan


def build(*, dim: int = 6, state_dim: int = 3, expansion: float = 1.0, seed: int = 0) -> SS2D:
    torch.manual_seed(seed)
    return SS2D(dim=dim, state_dim=state_dim, expansion=expansion).double()


def random_map(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_cross_scan_numbered_tokens_are_read_along_rows_columns_and_back() -> None:
    tokens = torch.tensor([[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]])

    paths = cross_scan(tokens)

    wanted = [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5, 2, 4, 1, 3, 0]]
    assert paths[0, :, 0].tolist() == wanted


def test_cross_merge_of_cross_scan_is_four_times_the_map() -> None:
    x = random_map(2, 5, 3, 4)

    assert torch.equal(cross_merge(cross_scan(x), 3, 4), 4 * x)


@pytest.mark.parametrize("path", range(4))
def test_cross_merge_single_path_lies_where_cross_scan_took_it(path: int) -> None:
    x = random_map(2, 5, 3, 4)
    alone = torch.zeros(2, 4, 5, 12, dtype=torch.float64)
    alone[:, path] = cross_scan(x)[:, path]

    assert torch.equal(cross_merge(alone, 3, 4), x)


def ss2d_as_loops(block: SS2D, x: Tensor) -> Tensor:
    """The block for one image (D, h, w), token by token along each path."""
    height, width = x.shape[1:]
    inner = block.D.numel() // 4
    rank = math.ceil(len(x) / 16)
    num_states = block.A_log.shape[1]
    projected = torch.einsum("oi,ihw->ohw", block.in_proj.weight[:, :, 0, 0], x)
    gate = projected[inner:]
    mixed = torch.zeros(inner, height, width, dtype=x.dtype)
    for c in range(inner):
        for i in range(height):
            for j in range(width):
                total = block.conv.bias[c]
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        if 0 <= i + di < height and 0 <= j + dj < width:
                            total = total + block.conv.weight[c, 0, 1 + di, 1 + dj] * projected[c, i + di, j + dj]
                mixed[c, i, j] = F.silu(total)
    rows = [(i, j) for i in range(height) for j in range(width)]
    columns = [(i, j) for j in range(width) for i in range(height)]
    merged = torch.zeros_like(mixed)
    for k, path in enumerate((rows, columns, rows[::-1], columns[::-1])):
        channels = slice(k * inner, (k + 1) * inner)
        h = torch.zeros(inner, num_states, dtype=x.dtype)
        for i, j in path:
            u = mixed[:, i, j]
            step, B, C = (block.x_proj[k] @ u).split([rank, num_states, num_states])
            delta = torch.log1p(torch.exp(block.dt_proj[k] @ step + block.dt_bias[channels]))
            for c in range(inner):
                for n in range(num_states):
                    A = -math.exp(block.A_log[channels][c, n])
                    h[c, n] = torch.exp(delta[c] * A) * h[c, n] + delta[c] * B[n] * u[c]
                merged[c, i, j] += h[c] @ C + block.D[channels][c] * u[c]
    centred = merged - merged.mean(dim=0)
    normed = centred / torch.sqrt(centred.square().mean(dim=0) + block.norm.eps)
    normed = normed * block.norm.weight[:, None, None] + block.norm.bias[:, None, None]
    return torch.einsum("oi,ihw->ohw", block.out_proj.weight[:, :, 0, 0], normed * F.silu(gate))


@pytest.mark.parametrize("expansion", [1.0, 2.0])
def test_ss2d_equals_loops_over_the_four_paths(expansion: float) -> None:
    block = build(dim=4, state_dim=2, expansion=expansion)
    with torch.no_grad():
        for parameter in (block.A_log, block.D, block.norm.weight, block.norm.bias):
            parameter.add_(0.3 * torch.randn_like(parameter))  # away from equal values for all channels
    x = random_map(2, 4, 3, 5)

    with torch.no_grad():
        wanted = torch.stack([ss2d_as_loops(block, image) for image in x])
        torch.testing.assert_close(block(x), wanted)


def test_ss2d_every_token_reaches_every_other() -> None:
    block = build()
    x = random_map(1, 6, 5, 7).requires_grad_()

    for i, j in ((0, 0), (2, 3), (4, 6)):
        (gradient,) = torch.autograd.grad(block(x)[0, :, i, j].square().sum(), x)
        assert (gradient.abs().amax(dim=1) > 0).all()


def test_ss2d_gradient_reaches_every_parameter() -> None:
    block = build()

    block(random_map(2, 6, 4, 5)).square().sum().backward()

    without = [name for name, parameter in block.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []


def test_ss2d_images_of_a_batch_do_not_meet() -> None:
    block = build()
    x = random_map(3, 6, 4, 5)

    torch.testing.assert_close(block(x), torch.cat([block(image[None]) for image in x]))


def test_ss2d_under_autocast_stays_close_to_float32() -> None:
    block = build().float()
    x = random_map(1, 6, 8, 8).float()

    with torch.autocast("cpu", torch.bfloat16):
        narrow = block(x)

    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), block(x), rtol=0.05, atol=0.05)


def test_ss2d_initial_values_are_those_of_mamba() -> None:
    block = build(dim=64, state_dim=5).float()

    low, high = INITIAL_STEP_SIZES
    step_sizes = F.softplus(block.dt_bias)
    assert step_sizes.min() >= low * 0.999
    assert step_sizes.max() <= high * 1.001
    # Log-uniform: half of the 256 step sizes lie below the geometric mean of the bounds.
    assert 0.3 < (step_sizes < math.sqrt(low * high)).float().mean() < 0.7
    torch.testing.assert_close(block.A_log.exp(), torch.arange(1.0, 6.0).repeat(256, 1))
    assert torch.equal(block.D, torch.ones(256))
    assert block.dt_proj.abs().max() <= math.ceil(64 / 16) ** -0.5


def test_ss2d_only_rates_and_skip_are_kept_from_weight_decay() -> None:
    marked = {name for name, parameter in build().named_parameters() if getattr(parameter, "_no_weight_decay", False)}

    assert marked == {"A_log", "D"}


def test_ss2d_expansion_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="expansion"):
        SS2D(dim=4, expansion=0.1)
