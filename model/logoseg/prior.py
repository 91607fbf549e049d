"""Object existence prior (section 2.2, eq. 1-2): how present is each class in the image as a whole.

    p_n     = 1 / (H W)  sum_ij  <V_ij, Tbar_n> / (|V_ij| |Tbar_n|)          (1)
    That_n  = 1 / P      sum_p   w_n T_np ,   w_n = (1 - lambda) + lambda p_n  (2)

The paper speaks of a lambda but writes none; with the w_n above lambda = 1 is eq. 2 to the letter and lambda = 0 is
"no prior" (A1). Tbar_n is the mean of T_np over the prompts p.

Axes: B images, C joint CLIP width, H x W tokens, N classes, P prompts a class.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

# A cosine can be negative, and a negative weight would turn the text around.
MIN_PRIOR = 1e-4


def object_prior(image: Float[Tensor, "B C H W"], text: Float[Tensor, "N P C"]) -> Float[Tensor, "B N"]:
    """Eq. 1: the mean over all tokens of the cosine between token and mean prompt, in [-1, 1]."""
    # The mean of cosines with one text is the cosine-scaled mean of unit tokens: no B x N x H x W volume is needed.
    mean_direction = F.normalize(image, dim=1).mean(dim=(2, 3))
    center = F.normalize(text.mean(dim=1), dim=-1)
    return mean_direction @ center.T


def weighted_text(
    text: Float[Tensor, "N P C"], prior: Float[Tensor, "B N"], prior_weight: float | Float[Tensor, ""]
) -> Float[Tensor, "B N C"]:
    """Eq. 2: the mean prompt of each class, scaled by how present the class is in each image."""
    weight = (1 - prior_weight) + prior_weight * prior.clamp(min=MIN_PRIOR)
    return weight.unsqueeze(-1) * text.mean(dim=1)


class ObjectPrior(nn.Module):
    """Text weighted by the prior, for a fixed lambda or a learned one ("adaptive", a sigmoid that starts at 0.5)."""

    def __init__(self, prior_weight: float | Literal["adaptive"]) -> None:
        super().__init__()
        adaptive = prior_weight == "adaptive"
        self.fixed_prior_weight = 0.5 if adaptive else float(prior_weight)
        self.prior_weight_logit = nn.Parameter(torch.tensor(_logit(0.5))) if adaptive else None

    @property
    def prior_weight(self) -> float | Float[Tensor, ""]:
        """lambda, in [0, 1]."""
        return self.fixed_prior_weight if self.prior_weight_logit is None else torch.sigmoid(self.prior_weight_logit)

    def forward(self, image: Float[Tensor, "B C H W"], text: Float[Tensor, "N P C"]) -> Float[Tensor, "B N C"]:
        return weighted_text(text, object_prior(image, text), self.prior_weight)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
