"""What every image encoder gives, and the pixels it starts from.

Axes: B images, C joint CLIP width, M width of F_mid, H x W pixels, h x w tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from logoseg.clip.pretrained_tag import UNTAGGED, PretrainedTag


class ImageFeatures(NamedTuple):
    """What the rest of the network sees of an image."""

    dense: Float[Tensor, "B C h w"]  # V, a unit vector a token
    middle: Float[Tensor, "B M h w"]  # F_mid
    guidance: tuple[Tensor, Tensor]  # S_1 and S_2, each B x channels x its own height x width


class ImageNormalisation(nn.Module):
    """From RGB in [0, 1] to what CLIP was trained on."""

    mean: Tensor
    std: Tensor

    def __init__(self, tag: PretrainedTag = UNTAGGED) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(tag.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(tag.std).view(3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return (images - self.mean) / self.std
