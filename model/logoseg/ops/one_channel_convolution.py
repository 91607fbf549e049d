"""A convolution of maps of one channel, with a backward that suits them.

What torch runs on a CPU for the gradient of the maps takes 14 times as long as all else of the convolution: to it they
are an output of one channel. But that gradient is a sum over the channels c of one kernel each,

    grad_maps = sum over c of correlate(grad_c, flipped kernel_c)

and convolving every channel with its own kernel is what a depthwise convolution is fast at.

Axes: M maps of h x w pixels, C channels, k x k taps, k odd.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, channels_last
from torch.autograd.function import once_differentiable


def one_channel_convolution(
    maps: Float[Tensor, "M 1 h w"], kernel: Float[Tensor, "C 1 k k"], bias: Float[Tensor, "C"]
) -> Float[Tensor, "M C h w"]:
    """F.conv2d that keeps the size of the maps, also under autocast."""
    return _OneChannelConvolution.apply(maps, kernel, bias)


class _OneChannelConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(maps, kernel)
        return F.conv2d(maps, kernel, bias, padding=kernel.shape[2] // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps, kernel = ctx.saved_tensors
        reach, channels = kernel.shape[2] // 2, len(kernel)
        grad = grad.contiguous(memory_format=channels_last)
        flipped = kernel.to(grad.dtype).flip(2, 3)
        grad_maps = F.conv2d(grad, flipped, padding=reach, groups=channels).sum(dim=1, keepdim=True)
        _, grad_kernel, grad_bias = torch.ops.aten.convolution_backward(
            grad,
            maps.to(grad.dtype),
            kernel.to(grad.dtype),
            [channels],
            stride=[1, 1],
            padding=[reach, reach],
            dilation=[1, 1],
            transposed=False,
            output_padding=[0, 0],
            groups=1,
            output_mask=[False, True, True],
        )
        return grad_maps.to(maps.dtype), grad_kernel.to(kernel.dtype), grad_bias.to(kernel.dtype)
