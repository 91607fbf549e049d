"""Steps 6-11 of the CAT-Seg protocol: the logits of windows and global view to one label map.

    stretched = half the mean over the windows that see a pixel of sigmoid(bilinear(logits)),
                half bilinear(sigmoid(bilinear(logits of the global view)))
    labels    = argmax over classes of bilinear(stretched)

Axes: V views, N classes, h x w logits, H x W pixels of the photograph, S x S pixels of the stretched image.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from logoseg.config import SlidingWindow
from logoseg.ops.sliding_window_cpu import sliding_window_max_cpu
from logoseg.ops.upsample_argmax import Winners, best_of_chunks, classes_within
from logoseg.views import window_offsets


def winners_from_windows(
    logits: Float[Tensor, "V N h w"], inference: SlidingWindow, size: tuple[int, int], *, memory_limit_bytes: int
) -> Winners:
    """The winning class of each of `size` = (H, W) pixels and its score, from finite logits of the views in order."""
    if logits.device.type == "cpu":
        labels, best = sliding_window_max_cpu(logits.numpy(), inference, size)
        return Winners(torch.from_numpy(labels), torch.from_numpy(best))
    return winners_from_windows_in_chunks(logits, inference, size, memory_limit_bytes=memory_limit_bytes)


def winners_from_windows_in_chunks(
    logits: Float[Tensor, "V N h w"], inference: SlidingWindow, size: tuple[int, int], *, memory_limit_bytes: int
) -> Winners:
    """`winners_from_windows` for any device, a few classes at a time."""
    return _winners(logits, inference, size, _sigmoids, memory_limit_bytes)


def winners_from_score_windows(
    scores: Float[Tensor, "V N h w"], inference: SlidingWindow, size: tuple[int, int], *, memory_limit_bytes: int
) -> Winners:
    """The same of scores that are none of a sigmoid: they are resized and averaged as they are."""
    return _winners(scores, inference, size, _resized, memory_limit_bytes)


ToScores = Callable[[Float[Tensor, "N h w"], int], Float[Tensor, "N side side"]]


def _winners(
    logits: Float[Tensor, "V N h w"],
    inference: SlidingWindow,
    size: tuple[int, int],
    to_scores: ToScores,
    memory_limit_bytes: int,
) -> Winners:
    # At the peak: the stretched image twice (windows, global view), one view, and the pixels of the photograph.
    floats_per_class = 2 * inference.size**2 + inference.kernel**2 + size[0] * size[1]
    chunk = classes_within(floats_per_class * logits.element_size(), memory_limit_bytes)

    def winners_among(classes: Int[Tensor, " n"]) -> Winners:
        stretched = stretched_scores(logits[:, classes], inference, to_scores)
        best, index = F.interpolate(stretched[None], size, mode="bilinear", align_corners=False)[0].max(dim=0)
        return Winners(index.int(), best)

    return best_of_chunks(winners_among, torch.arange(logits.shape[1], device=logits.device), chunk)


def _resized(scores: Float[Tensor, "N h w"], side: int) -> Float[Tensor, "N side side"]:
    return F.interpolate(scores[None], (side, side), mode="bilinear", align_corners=False)[0]


def _sigmoids(logits: Float[Tensor, "N h w"], side: int) -> Float[Tensor, "N side side"]:
    return _resized(logits, side).sigmoid_()


def stretched_scores(
    logits: Float[Tensor, "V N h w"], inference: SlidingWindow, to_scores: ToScores = _sigmoids
) -> Float[Tensor, "N S S"]:
    """Steps 6-9: the windows folded into the stretched image, their mean taken where they overlap, and averaged with
    the global view."""
    offsets, kernel = window_offsets(inference), inference.kernel
    corners = [(y, x) for y in offsets for x in offsets]
    stretched = logits.new_zeros(logits.shape[1], inference.size, inference.size)
    coverage = logits.new_zeros(inference.size, inference.size)
    for (y, x), view in zip(corners, logits[: len(corners)], strict=True):
        stretched[:, y : y + kernel, x : x + kernel] += to_scores(view, kernel)
        coverage[y : y + kernel, x : x + kernel] += 1
    stretched.div_(coverage)
    if not inference.global_view:
        return stretched
    whole = _resized(to_scores(logits[-1], kernel), inference.size)
    return stretched.add_(whole).mul_(0.5)
