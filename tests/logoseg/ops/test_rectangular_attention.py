"""The stripes of eq. 8 against attention written as loops in float64."""

import math

import pytest
import torch

from logoseg.ops.rectangular_attention import RectangularAttention, _padding_bias


def build(direction: str, stripe_width: int, dim: int = 4, num_heads: int = 2) -> RectangularAttention:
    torch.manual_seed(0)
    module = RectangularAttention(dim=dim, num_heads=num_heads, stripe_width=stripe_width, direction=direction).double()
    torch.nn.init.normal_(module.row_bias)
    torch.nn.init.normal_(module.column_bias)
    return module


def stripe_of(row: int, column: int, direction: str, stripe_width: int) -> int:
    return (row if direction == "horizontal" else column) // stripe_width


def attention_by_loops(module: RectangularAttention, x: torch.Tensor, stripe_width: int) -> torch.Tensor:
    """Every token against every other token of its stripe. The bias tables are those of the module."""
    batch, dim, height, width = x.shape
    heads = module.num_heads
    size = dim // heads
    center = (module.row_bias.shape[1] - 1) // 2
    out = torch.zeros_like(x)
    for b in range(batch):
        tokens = {(i, j): module.qkv(module.norm(x[b, :, i, j])) for i in range(height) for j in range(width)}
        for (i, j), qkv in tokens.items():
            mine = stripe_of(i, j, module.direction, stripe_width)
            others = [p for p in tokens if stripe_of(*p, module.direction, stripe_width) == mine]
            result = torch.zeros(dim, dtype=torch.float64)
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                scores = []
                for y, z in others:
                    # a vertical stripe is a horizontal one of the transposed image, so its tables swap
                    dy, dx = (y - i, z - j) if module.direction == "horizontal" else (z - j, y - i)
                    bias = module.row_bias[head, center + dy] + module.column_bias[head, center + dx]
                    key = tokens[(y, z)][dim : 2 * dim][part]
                    scores.append(float(qkv[:dim][part] @ key) / math.sqrt(size) + float(bias))
                exponentials = [math.exp(score) for score in scores]
                for weight, p in zip(exponentials, others, strict=True):
                    result[part] += weight / sum(exponentials) * tokens[p][2 * dim :][part]
            out[b, :, i, j] = x[b, :, i, j] + module.out(result)
    return out


@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
@pytest.mark.parametrize("stripe_width", [1, 2, 4])
@torch.no_grad()
def test_rectangular_attention_any_stripe_equals_loops(direction: str, stripe_width: int) -> None:
    module = build(direction, stripe_width)
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)  # 5 x 3: the last stripe is narrower in both directions

    torch.testing.assert_close(module(x), attention_by_loops(module, x, stripe_width))


@torch.no_grad()
def test_rectangular_attention_horizontal_does_not_see_other_stripes() -> None:
    module = build("horizontal", 2)
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 2:] += 1.0

    torch.testing.assert_close(module(changed)[:, :, :2], module(x)[:, :, :2])
    assert not torch.allclose(module(changed)[:, :, 2:], module(x)[:, :, 2:])


@pytest.mark.parametrize("height", range(1, 10))
@pytest.mark.parametrize("stripe", [1, 2, 4])
def test_no_token_attends_to_padding_alone(height: int, stripe: int) -> None:
    # Of a row without keys, one attention of torch gives zeros and another NaN.
    stripe = min(stripe, height)

    bias = _padding_bias(2, height, -height % stripe, stripe, 3, torch.zeros(()))

    assert torch.isfinite(bias).any(dim=-1).all()


def test_position_bias_has_the_gradient_of_one_thread_on_two() -> None:
    def gradients(num_threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(num_threads)
        module = RectangularAttention(dim=8, num_heads=4, stripe_width=4, direction="horizontal")
        generator = torch.Generator().manual_seed(0)
        for length in (4, 150):
            bias = module.position_bias(4, length)
            (bias * torch.randn(bias.shape, generator=generator)).sum().backward()
        return [module.row_bias.grad, module.column_bias.grad]  # type: ignore[list-item]

    before = torch.get_num_threads()
    try:
        # The seed of the sums above is the same: what they are multiplied with is one tensor.
        found = [gradients(1), *(gradients(2) for _ in range(3))]
    finally:
        torch.set_num_threads(before)

    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[1], other, strict=True))
    torch.testing.assert_close(found[1], found[0])


@torch.no_grad()
def test_rectangular_attention_grid_larger_than_the_bias_table_runs() -> None:
    module = build("horizontal", 4)

    assert module(torch.randn(1, 4, 3, 50, dtype=torch.float64)).isfinite().all()
