"""Scores of methods that give masks and what they show, instead of a map a class (MaskFormer's inference; SAN).

    score_n = sum_q weights_qn sigmoid(bilinear(masks_q))

The up-sampling comes before the sigmoid, so that no map of N x H x W is the same; rows are decided a few at a time.
Where the view was padded, masks are brought to its size, cut, and brought to that of the photograph: both steps are
linear and separable, so that each axis is one matrix.

Axes: V views, Q masks, N classes, h x w logits of masks, H x W pixels of the photograph.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from logoseg.model_error import ModelError
from logoseg.ops.upsample_argmax import Winners


class MaskClassification(NamedTuple):
    """What such a head gives: logits of masks, and the weight of each class in each mask."""

    masks: Float[Tensor, "V Q h w"]
    weights: Float[Tensor, "V Q N"]


class Shown(NamedTuple):
    """What of a padded view is the photograph, in its pixels; the view's own sides are the next multiples."""

    height: int
    width: int
    multiple: int


@torch.no_grad()
def winners_from_masks(
    found: MaskClassification, size: tuple[int, int], *, shown: Shown | None = None, memory_limit_bytes: int
) -> Winners:
    """The winning class of each of `size` = (H, W) pixels and its score; the lowest class wins a tie. `shown`: of a
    view that was padded.

    At most `memory_limit_bytes` of masks and scores are held at full resolution, one row at least. Raises ModelError
    for values that are not finite, and ValueError for more views than the one of the whole image.
    """
    masks, weights = found.masks.float(), found.weights.float()
    if len(masks) != 1:
        raise ValueError(f"Masks are of one view, the whole image; got {len(masks)}.")
    if not (masks.isfinite().all() and weights.isfinite().all()):
        raise ModelError("The model's masks and weights must be finite, got NaN or infinity.")
    height, width = size
    if shown is None:
        across = F.interpolate(masks, (masks.shape[2], width), mode="bilinear", align_corners=False)
        taps = _taps(masks.shape[2], height, masks)
    else:
        across = masks @ _cut_taps(masks.shape[3], shown.width, shown.multiple, width, masks).T
        taps = _cut_taps(masks.shape[2], shown.height, shown.multiple, height, masks)
    rows_at_once = max(1, memory_limit_bytes // (4 * width * (masks.shape[1] + weights.shape[2])))
    labels, scores = [], []
    for part in taps.split(rows_at_once):
        pixels = torch.einsum("yr,qrx->qyx", part, across[0]).sigmoid()
        best = torch.einsum("qn,qyx->nyx", weights[0], pixels).max(dim=0)
        labels.append(best.indices.int())
        scores.append(best.values)
    return Winners(torch.cat(labels), torch.cat(scores))


def _taps(num_sources: int, num_pixels: int, like: Tensor) -> Float[Tensor, "pixels sources"]:
    """Bilinear weights of each pixel along one axis."""
    sources = torch.eye(num_sources, device=like.device)[None, None]
    return F.interpolate(sources, (num_pixels, num_sources), mode="bilinear", align_corners=False)[0, 0]


def _cut_taps(
    num_sources: int, num_shown: int, multiple: int, num_pixels: int, like: Tensor
) -> Float[Tensor, "pixels sources"]:
    """The same by way of the padded view, of which the first `num_shown` pixels are kept."""
    in_view = -(-num_shown // multiple) * multiple
    return _taps(num_shown, num_pixels, like) @ _taps(num_sources, in_view, like)[:num_shown]
