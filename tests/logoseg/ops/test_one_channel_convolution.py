import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from logoseg.ops.one_channel_convolution import one_channel_convolution


def operands(size: tuple[int, int], taps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (5, 1, *size), (8, 1, taps, taps), (8,)
    maps, kernel, bias = (torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes)
    return maps, kernel, bias


def test_one_channel_convolution_gradients_equal_finite_differences() -> None:
    assert torch.autograd.gradcheck(one_channel_convolution, operands((3, 5), 3, torch.float64), fast_mode=True)


@pytest.mark.parametrize("size", [(12, 12), (7, 4), (2, 1)])
@pytest.mark.parametrize("autocast", [False, True])
def test_one_channel_convolution_and_its_gradients_equal_those_of_torch(size: tuple[int, int], autocast: bool) -> None:
    tensors = operands(size, 7, torch.float32)
    weights = torch.randn(5, 8, *size, generator=torch.Generator().manual_seed(1))

    def with_gradients(of_torch: bool) -> list[Tensor]:
        maps, kernel, bias = tensors
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = F.conv2d(maps, kernel, bias, padding=3) if of_torch else one_channel_convolution(maps, kernel, bias)
        return [found, *torch.autograd.grad(found, tensors, weights.to(found.dtype))]

    rounding = 2e-2 if autocast else 1e-5
    for found, expected in zip(with_gradients(False), with_gradients(True), strict=True):
        assert found.dtype == expected.dtype
        largest = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=rounding, atol=rounding * largest)
