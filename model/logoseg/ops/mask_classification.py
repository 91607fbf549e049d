"""Scores of methods that give masks and what they show, instead of a map a class (MaskFormer's inference; SAN).

    score_n = sum_q weights_qn sigmoid(bilinear(masks_q))

The up-sampling comes before the sigmoid, so that no map of N x H x W is the same; rows are decided a few at a time.

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


@torch.no_grad()
def winners_from_masks(found: MaskClassification, size: tuple[int, int], *, memory_limit_bytes: int) -> Winners:
    """The winning class of each of `size` = (H, W) pixels and its score; the lowest class wins a tie.

    At most `memory_limit_bytes` of masks and scores are held at full resolution, one row at least. Raises ModelError
    for values that are not finite, and ValueError for more views than the one of the whole image.
    """
    masks, weights = found.masks.float(), found.weights.float()
    if len(masks) != 1:
        raise ValueError(f"Masks are of one view, the whole image; got {len(masks)}.")
    if not (masks.isfinite().all() and weights.isfinite().all()):
        raise ModelError("The model's masks and weights must be finite, got NaN or infinity.")
    height, width = size
    across = F.interpolate(masks, (masks.shape[2], width), mode="bilinear", align_corners=False)
    rows_at_once = max(1, memory_limit_bytes // (4 * width * (masks.shape[1] + weights.shape[2])))
    taps = _row_taps(masks.shape[2], height, masks)
    labels, scores = [], []
    for part in taps.split(rows_at_once):
        pixels = torch.einsum("yr,qrx->qyx", part, across[0]).sigmoid()
        best = torch.einsum("qn,qyx->nyx", weights[0], pixels).max(dim=0)
        labels.append(best.indices.int())
        scores.append(best.values)
    return Winners(torch.cat(labels), torch.cat(scores))


def _row_taps(num_sources: int, num_rows: int, like: Tensor) -> Float[Tensor, "rows sources"]:
    """Bilinear weights of each row of the photograph; the resize is separable, and this is its second half."""
    sources = torch.eye(num_sources, device=like.device)[None, None]
    return F.interpolate(sources, (num_rows, num_sources), mode="bilinear", align_corners=False)[0, 0]
