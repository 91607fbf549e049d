"""The training loss (eq. 13): binary cross-entropy of every class at every labelled pixel.

    L = 1/|M| sum over pixels in M of sum_n BCE(sigmoid(x_n), [label = n])
      = 1/|M| sum over pixels in M of (sum_n softplus(x_n) - x_label)

The second form needs no one-hot tensor. What remains is dear for its memory, not for its arithmetic: a temporary of
N x H x W floats is 100 MB at N = 171 and 384 x 384, and touching fresh pages costs more than the exponentials. So the
gradient is made together with the loss: on a CPU pixel by pixel, in compiled loops; elsewhere, and in float64, by
chunks of classes.

Axes: B images, N classes, H x W pixels of the labels, h x w pixels of the coarse logits, Q = H*W, n classes of a chunk.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from logoseg.ops.upsampled_bce_cpu import UNLABELLED, upsampled_bce_cpu

Normalisation = Literal["pixels", "pixels_and_classes"]

# Elements of a chunk. On a CPU it should stay in the last-level cache; elsewhere it only bounds memory.
_CHUNK_ELEMENTS = {"cpu": 2**20}
_CHUNK_ELEMENTS_ELSEWHERE = 2**24


def upsampled_masked_bce(
    logits: Float[Tensor, "B N h w"],
    labels: Int64[Tensor, "B H W"],
    ignore_index: int,
    normalisation: Normalisation = "pixels",
) -> Float[Tensor, ""]:
    """Eq. 13 of the logits brought to the labels' size by eq. 12 (bilinear, align_corners=False).

    The up-sampled logits exist for one pixel or one chunk of classes at a time, in either direction, so that a training
    step never holds N x H x W floats. Sums run in float32 or wider; without any labelled pixel the loss and its
    gradient are 0.

    "pixels" divides by the number of labelled pixels, as eq. 13 does; "pixels_and_classes" also by N, which makes the
    size of the loss comparable between vocabularies.

    Raises ValueError when a label is neither in 0 .. N-1 nor `ignore_index`.
    """
    labelled = _labelled_pixels(labels, logits.shape[1], ignore_index)
    divisor = _divisor(labelled, logits.shape[1], normalisation)
    if logits.device.type == "cpu" and _sum_dtype(logits) == torch.float32:
        return upsampled_bce_cpu(logits.float(), labels.where(labelled, UNLABELLED), int(divisor))
    return _UpsampledMaskedBCE.apply(logits, labels, labelled) / divisor


def _labelled_pixels(labels: Int64[Tensor, "B H W"], num_classes: int, ignore_index: int) -> Bool[Tensor, "B H W"]:
    labelled = labels != ignore_index
    wrong = labelled & ((labels < 0) | (labels >= num_classes))
    if wrong.any():
        found = int(labels[wrong][0])
        raise ValueError(f"label {found} is neither in 0 .. {num_classes - 1} nor the ignore_index {ignore_index}.")
    return labelled


def _divisor(labelled: Bool[Tensor, "B H W"], num_classes: int, normalisation: Normalisation) -> Int64[Tensor, ""]:
    num_pixels = labelled.sum().clamp(min=1)
    return {"pixels": num_pixels, "pixels_and_classes": num_pixels * num_classes}[normalisation]


class _UpsampledMaskedBCE(torch.autograd.Function):
    """The sum of eq. 13 before its division. The gradient is made in `forward`, while a chunk is up-sampled anyway."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, labelled: Tensor) -> Tensor:
        total = torch.zeros((), dtype=_sum_dtype(logits), device=logits.device)
        gradient = torch.empty(logits.shape, dtype=total.dtype, device=logits.device)
        size, one = labels.shape[1:], torch.ones_like(total)
        with torch.autocast(logits.device.type, enabled=False):
            for chunk in _chunks(labels, labelled, logits.shape[1], total.dtype):
                coarse = logits[None, chunk.image, chunk.classes].to(total.dtype)
                values = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False).flatten(2)[0]
                total += _bce_sum(values, chunk)
                if not ctx.needs_input_grad[0]:
                    continue
                fine = _bce_gradient_(values, chunk, one).unflatten(1, size)[None]
                gradient[chunk.image, chunk.classes] = torch.ops.aten.upsample_bilinear2d_backward(
                    fine, size, coarse.shape, False
                )[0]
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * grad_total).to(ctx.dtype), None, None


class _Chunk(NamedTuple):
    """Some classes of one image: the weight of its Q pixels, and where the labelled ones lie in the n x Q chunk."""

    image: int
    classes: slice
    pixel_weight: Float[Tensor, "Q"]
    targets: Int64[Tensor, "T"]


def _chunks(
    labels: Int64[Tensor, "B H W"], labelled: Bool[Tensor, "B H W"], num_classes: int, dtype: torch.dtype
) -> Iterator[_Chunk]:
    num_pixels = labels[0].numel()
    elements = _CHUNK_ELEMENTS.get(labels.device.type, _CHUNK_ELEMENTS_ELSEWHERE)
    size = max(1, min(num_classes, elements // max(1, num_pixels)))
    starts = torch.arange(0, num_classes + size, size, device=labels.device).clamp(max=num_classes)
    for image in range(len(labels)):
        weight = labelled[image].flatten().to(dtype)
        # Pixels in order of their label, so that a chunk finds its own without looking at all; ignored ones come last.
        label, pixel = labels[image].masked_fill(~labelled[image], num_classes).flatten().sort()
        bounds = torch.searchsorted(label, starts).tolist()
        for first, low, high in zip(range(0, num_classes, size), bounds[:-1], bounds[1:], strict=True):
            targets = (label[low:high] - first) * num_pixels + pixel[low:high]
            yield _Chunk(image, slice(first, min(first + size, num_classes)), weight, targets)


def _bce_sum(values: Float[Tensor, "n Q"], chunk: _Chunk) -> Float[Tensor, ""]:
    return (F.softplus(values) @ chunk.pixel_weight).sum() - values.reshape(-1)[chunk.targets].sum()


def _bce_gradient_(values: Float[Tensor, "n Q"], chunk: _Chunk, scale: Float[Tensor, ""]) -> Float[Tensor, "n Q"]:
    """Replaces logits by scale * (sigmoid - one-hot), 0 where ignored."""
    gradient = values.sigmoid_().mul_(chunk.pixel_weight * scale)
    gradient.view(-1)[chunk.targets] -= scale
    return gradient


def _sum_dtype(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)
