"""Bilinear up-sampling and argmax over the classes in one go, without the N x H x W scores in between.

    labels[y, x] = argmax_n bilinear(scores[n])(y, x)

The bilinear geometry is that of F.interpolate with align_corners=False, for growing and for shrinking sizes alike. The
result is that of F.interpolate followed by argmax, except where two classes score the same up to float rounding;
of classes that score exactly the same the lowest wins.

Axes: N classes, h x w coarse grid, H x W pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor

from logoseg.ops.upsample_argmax_cpu import upsample_max_cpu

MEMORY_LIMIT_BYTES = 256 * 2**20


class Winners(NamedTuple):
    """The winning class of every pixel, and the score it won with."""

    labels: Int32[Tensor, "H W"]
    scores: Float[Tensor, "H W"]


def upsample_argmax(
    scores: Float[Tensor, "N h w"], size: tuple[int, int], *, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
) -> Int32[Tensor, "H W"]:
    """The class with the largest bilinearly up-sampled score at each of `size` = (H, W) pixels.

    Errors and memory as for `upsample_max`.
    """
    return upsample_max(scores, size, memory_limit_bytes=memory_limit_bytes).labels


@torch.no_grad()
def upsample_max(
    scores: Float[Tensor, "N h w"], size: tuple[int, int], *, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
) -> Winners:
    """As `upsample_argmax`, with the winning scores beside the labels.

    On a CPU nothing of size N x H x W is ever held. On other devices at most `memory_limit_bytes` of up-sampled scores
    are (one class at least). Half precision is computed in float32. ValueError if a score is NaN or infinite, where
    argmax would answer with a class that means nothing, or if an axis is empty.
    """
    if scores.numel() == 0 or min(size) < 1:
        raise ValueError(f"upsample_max needs scores and a size without empty axes, got {tuple(scores.shape)}, {size}.")
    if not all_finite(scores):
        raise ValueError(
            "upsample_max needs finite scores, got NaN or infinity. Mask a class by a low score, say -100."
        )
    scores = scores.detach() if scores.dtype in (torch.float32, torch.float64) else scores.detach().float()
    if scores.device.type == "cpu":
        labels, best = upsample_max_cpu(scores.numpy(), size)
        return Winners(torch.from_numpy(labels), torch.from_numpy(best))
    return upsample_max_in_chunks(scores, size, memory_limit_bytes=memory_limit_bytes)


def all_finite(values: Float[Tensor, "*axes"]) -> bool:
    """Whether none is NaN or infinite.

    Read in the order of memory: along the axes of a tensor whose classes lie last, aminmax takes 16 times as long.
    """
    in_memory = values.permute(sorted(range(values.dim()), key=values.stride, reverse=True))
    return bool(torch.stack(torch.aminmax(in_memory)).isfinite().all())


def upsample_max_in_chunks(
    scores: Float[Tensor, "N h w"], size: tuple[int, int], *, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
) -> Winners:
    """`upsample_max` for any device: the classes that can win somewhere, a few at a time."""
    chunk = classes_within(size[0] * size[1] * scores.element_size(), memory_limit_bytes)
    contenders = classes_that_can_win(*(bound.flatten(1) for bound in cell_bounds(scores)))

    def winners_among(classes: Int[Tensor, " n"]) -> Winners:
        best, index = F.interpolate(scores[None, classes], size, mode="bilinear", align_corners=False)[0].max(dim=0)
        return Winners(index.int(), best)

    return best_of_chunks(winners_among, contenders, chunk)


def best_of_chunks(
    winners_among: Callable[[Int[Tensor, " n"]], Winners], classes: Int[Tensor, " contenders"], classes_per_chunk: int
) -> Winners:
    """The winners of `classes`, in rising order, of which `winners_among` handles a few and labels them 0, 1, ..."""
    best = None
    for chunk in classes.int().split(classes_per_chunk):
        index, scores = winners_among(chunk)
        labels = chunk[index]
        if best is None:
            best = Winners(labels, scores)
            continue
        wins = scores > best.scores  # strictly, so that a tie stays with the lower class
        best = Winners(torch.where(wins, labels, best.labels), torch.where(wins, scores, best.scores))
    if best is None:
        raise ValueError("best_of_chunks needs at least one class.")
    return best


def classes_within(bytes_per_class: int, memory_limit_bytes: int) -> int:
    """How many classes fit into the limit, and never less than one."""
    return max(1, memory_limit_bytes // bytes_per_class)


def cell_bounds(scores: Float[Tensor, "N h w"]) -> tuple[Float[Tensor, "N h w"], Float[Tensor, "N h w"]]:
    """The smallest and the largest corner of every cell: bounds of all bilinear values inside it."""
    padded = F.pad(scores, (0, 1, 0, 1), mode="replicate")
    return -F.max_pool2d(-padded, kernel_size=2, stride=1), F.max_pool2d(padded, kernel_size=2, stride=1)


def classes_that_can_win(
    lower: Float[Tensor, "N regions"], upper: Float[Tensor, "N regions"]
) -> Int[Tensor, " contenders"]:
    """The classes whose upper bound reaches, in at least one region, the best lower bound of any class there."""
    can_win: Bool[Tensor, "N regions"] = upper >= lower.amax(dim=0)
    return can_win.any(dim=1).nonzero()[:, 0]
