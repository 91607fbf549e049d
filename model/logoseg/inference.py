"""From one photograph to a label map: views, logits of the model, scores at full resolution, argmax.

    logits_of = lambda views: network(views, text)
    labels = segment(logits_of, image, WholeImage(size=768))

Scores are sigmoids, as LoGoSeg is trained with one binary problem a class; other methods have another `Activation`. No
threshold, no background class.

Axes: V views, N classes, h x w logits, H x W pixels of the photograph.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from logoseg.config import Activation, Inference, PaddedImage, SlidingWindow
from logoseg.model_error import ModelError
from logoseg.ops.sliding_window import winners_from_score_windows, winners_from_windows
from logoseg.ops.upsample_argmax import MEMORY_LIMIT_BYTES, Winners, all_finite, upsample_max
from logoseg.views import views, window_offsets

LogitsOf = Callable[[Float[Tensor, "V 3 height width"]], Float[Tensor, "V N h w"]]


def segment(
    logits_of: LogitsOf,
    image: Float[Tensor, "3 H W"],
    inference: Inference,
    *,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Int32[Tensor, "H W"]:
    """The class of every pixel of one photograph in [0, 1]. `logits_of` is the model, its vocabulary included."""
    return segment_with_scores(logits_of, image, inference, memory_limit_bytes=memory_limit_bytes).labels


@torch.no_grad()
def segment_with_scores(
    logits_of: LogitsOf,
    image: Float[Tensor, "3 H W"],
    inference: Inference,
    *,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Winners:
    """`segment` with the winning score of every pixel, in [0, 1]."""
    logits = logits_of(views(image, inference))
    height, width = image.shape[-2:]
    return winners_from_views(logits, inference, (height, width), memory_limit_bytes=memory_limit_bytes)


def labels_from_views(
    logits: Float[Tensor, "V N h w"],
    inference: Inference,
    size: tuple[int, int],
    *,
    activation: Activation = "sigmoid",
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Int32[Tensor, "H W"]:
    """The class of each of `size` = (H, W) pixels, from the logits of the views that `logoseg.views` made."""
    return winners_from_views(
        logits, inference, size, activation=activation, memory_limit_bytes=memory_limit_bytes
    ).labels


@torch.no_grad()
def winners_from_views(
    logits: Float[Tensor, "V N h w"],
    inference: Inference,
    size: tuple[int, int],
    *,
    activation: Activation = "sigmoid",
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> Winners:
    """`labels_from_views` with the winning scores.

    At most `memory_limit_bytes` of scores above the resolution of the logits are held at a time (one class at least);
    the answer does not depend on it. ModelError if a logit is NaN or infinite, or the view is padded, ValueError if an
    axis is empty, or if V is not the number of views.
    """
    if logits.numel() == 0 or min(size) < 1:
        raise ValueError(f"Logits and size must have no empty axis, got {tuple(logits.shape)} and {size}.")
    if not all_finite(logits):
        raise ModelError(
            "The model's logits must be finite, got NaN or infinity. Mask a class by a low logit, say -100."
        )
    logits = logits.detach() if logits.dtype in (torch.float32, torch.float64) else logits.detach().float()
    if isinstance(inference, PaddedImage):
        raise ModelError("A padded view is for a method that gives masks; evaluate this one with --protocol whole.")
    if not isinstance(inference, SlidingWindow):
        if len(logits) != 1:
            raise ValueError(f"WholeImage has one view, got logits of {len(logits)}.")
        # SED takes the sigmoid before the up-sampling.
        return upsample_max(_scores(logits, activation)[0], size, memory_limit_bytes=memory_limit_bytes)
    num_views = len(window_offsets(inference)) ** 2 + inference.global_view
    if len(logits) != num_views:
        raise ValueError(f"This SlidingWindow has {num_views} views, got logits of {len(logits)}.")
    if activation == "sigmoid":  # which CAT-Seg takes after the up-sampling to the window
        return winners_from_windows(logits, inference, size, memory_limit_bytes=memory_limit_bytes)
    return winners_from_score_windows(
        _scores(logits, activation), inference, size, memory_limit_bytes=memory_limit_bytes
    )


def _scores(logits: Float[Tensor, "V N h w"], activation: Activation) -> Float[Tensor, "V N h w"]:
    if activation == "sigmoid":
        return logits.sigmoid()
    return logits.softmax(dim=1) if activation == "softmax" else logits
