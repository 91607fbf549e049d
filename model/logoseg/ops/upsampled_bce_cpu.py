"""The CPU half of logoseg.losses, in float32: the loss and its gradient in one compiled pass over the labelled pixels.

    sum over pixels, n of softplus(x_n)  -  sum over pixels of x_label,   x = the four coarse logits around, mixed

A pixel's logits of all classes are made, used and forgotten: no map of H x W pixels is ever held. Classes come last in
memory, so that every inner loop runs along them. One exponential gives both parts of a logit:

    e = exp(-|x|)      softplus(x) = max(x, 0) + log(1 + e)      sigmoid(x) = 1 / (1 + e) or, below 0, e / (1 + e)

and one logarithm serves many pixels: log(1 + e_1) + log(1 + e_2) + ... = log(1 + q), 1 + q = (1 + e_1) (1 + e_2) ...

Axes: B images, N classes, H x W pixels, h x w coarse logits.
"""

import math
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from logoseg.ops.bilinear import bilinear_taps
from logoseg.ops.compiled import compiled, run_on_threads

# Pixels to a logarithm: 1 + q is at most 2 to this power.
_PIXELS_TO_A_LOGARITHM = 96
# What stands for the label of a pixel that does not count.
UNLABELLED = -1

_LOG2_E = math.log2(math.e)


def upsampled_bce_cpu(
    logits: Float32[Tensor, "B N h w"], targets: Int64[Tensor, "B H W"], divisor: int
) -> Float32[Tensor, ""]:
    """The binary cross-entropy of all classes at all pixels but those UNLABELLED, of the logits brought to H x W,
    summed and divided. Runs on as many threads as torch, an image each; best with logits that lie B h w N in memory."""
    return _UpsampledBCE.apply(logits, targets, divisor)


class _UpsampledBCE(torch.autograd.Function):
    """The gradient is made in `forward`, while the logits of a pixel are at hand anyway."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, divisor: int) -> Tensor:
        coarse = logits.detach().movedim(1, -1).contiguous()
        gradient = torch.zeros_like(coarse)
        rows = bilinear_taps(coarse.shape[1], targets.shape[1], np.dtype(np.float32))
        columns = bilinear_taps(coarse.shape[2], targets.shape[2], np.dtype(np.float32))
        sums = np.empty(len(targets))

        def add(image: int) -> None:
            given = coarse[image].numpy(), targets[image].numpy(), rows, columns
            sums[image] = _bce(*given, np.float32(1 / divisor), gradient[image].numpy())

        run_on_threads(add, range(len(targets)), num_threads=len(targets))
        ctx.save_for_backward(gradient.movedim(-1, 1))
        return logits.new_tensor(sums.sum() / divisor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient if grad_loss == 1 else gradient * grad_loss, None, None


@compiled
@no_type_check
def _bce(logits, targets, rows, columns, scale, gradient):
    """The sum of one image; adds `scale` times its gradient to `gradient`."""
    num_classes = logits.shape[2]
    linear, product = np.zeros(num_classes, np.float32), np.zeros(num_classes, np.float32)  # product: q
    mixed, below = np.empty(num_classes, np.float32), np.empty(num_classes, np.float32)
    total, num_pixels = 0.0, 0
    for i in range(targets.shape[0]):
        top, bottom = rows.lower[i], rows.upper[i]
        for j in range(targets.shape[1]):
            target = targets[i, j]
            if target == UNLABELLED:
                continue
            left, right = columns.lower[j], columns.upper[j]
            w_1 = rows.lower_weight[i] * columns.lower_weight[j]
            w_2 = rows.lower_weight[i] * columns.upper_weight[j]
            w_3 = rows.upper_weight[i] * columns.lower_weight[j]
            w_4 = rows.upper_weight[i] * columns.upper_weight[j]
            x_1, x_2, x_3, x_4 = logits[top, left], logits[top, right], logits[bottom, left], logits[bottom, right]
            g_1, g_2 = gradient[top, left], gradient[top, right]
            g_3, g_4 = gradient[bottom, left], gradient[bottom, right]
            _mix(w_1, x_1, w_2, x_2, mixed)
            _mix(w_3, x_3, w_4, x_4, below)
            _sigmoids(mixed, below, linear, product)
            _add(w_1 * scale, mixed, g_1)
            _add(w_2 * scale, mixed, g_2)
            _add(w_3 * scale, mixed, g_3)
            _add(w_4 * scale, mixed, g_4)
            total -= w_1 * x_1[target] + w_2 * x_2[target] + w_3 * x_3[target] + w_4 * x_4[target]
            g_1[target] -= w_1 * scale
            g_2[target] -= w_2 * scale
            g_3[target] -= w_3 * scale
            g_4[target] -= w_4 * scale
            num_pixels += 1
            if num_pixels % _PIXELS_TO_A_LOGARITHM == 0:
                total += _taken_out(linear, product)
    return total + _taken_out(linear, product)


@compiled
@no_type_check
def _mix(w_1, x_1, w_2, x_2, mixed):
    for n in range(mixed.size):
        mixed[n] = w_1 * x_1[n] + w_2 * x_2[n]


@compiled
@no_type_check
def _add(weight, source, target):
    for n in range(target.size):
        target[n] += weight * source[n]


@compiled
@no_type_check
def _sigmoids(mixed, below, linear, product):
    """Replaces one half of the logits by the sigmoids of their sum, and adds the softplus of it."""
    for n in range(mixed.size):
        x = mixed[n] + below[n]
        size = abs(x)
        e = _exp2(size * np.float32(-_LOG2_E))
        linear[n] += np.float32(0.5) * (x + size)  # max(x, 0), but that NaN stays one
        product[n] += e * (np.float32(1) + product[n])
        mixed[n] = (np.float32(1) if x >= 0 else e) / (np.float32(1) + e)


@compiled
@no_type_check
def _taken_out(linear, product):
    """The sum of both parts of softplus over the classes, which begin anew."""
    total = 0.0
    for n in range(linear.size):
        total += np.float64(linear[n]) + math.log1p(np.float64(product[n]))
        linear[n] = product[n] = 0
    return total


@compiled
@no_type_check
def _exp2(x):
    """2 ** x, for x of 0 or less, to 1e-7 of itself, with no call and no branch, so that loops of it run on whole
    registers.

    Adding 1.5 * 2 ** 23 and taking it away rounds, in this order alone, and the bits of the sum hold the whole part.
    """
    bounded = max(x, np.float32(-126))
    shifted = np.float32(bounded + np.float32(12582912))
    rest = bounded - (shifted - np.float32(12582912))
    power = np.float32(0.00015469732) * rest + np.float32(0.0013400432)
    power = power * rest + np.float32(0.009618026)
    power = power * rest + np.float32(0.055503272)
    power = power * rest + np.float32(0.24022651)
    power = power * rest + np.float32(0.69314721)
    power = power * rest + np.float32(1)
    scale = np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23))
    return power * np.int32(scale).view(np.float32) if x >= np.float32(-126) else np.float32(0)
