"""Linear attention (Katharopoulos et al. 2020), the Attn(Q, K, V) of eq. 10.

    out_t = phi(q_t) (sum_s phi(k_s) v_s^T) / (phi(q_t) . sum_s phi(k_s) + eps),   phi = elu + 1

Axes: B images, T queries, S sources, D channels.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-6


def linear_attention(
    query: Float[Tensor, "B heads T d"],
    key: Float[Tensor, "B heads S d"],
    value: Float[Tensor, "B heads S d"],
    source_mask: Bool[Tensor, "S"] | None = None,
) -> Float[Tensor, "B heads T d"]:
    """Attention at a cost linear in S and T. Sums are in float32; a source that is False in the mask is left out."""
    precision = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        phi_query = F.elu(query.to(precision)) + 1
        phi_key = F.elu(key.to(precision)) + 1
        if source_mask is not None:
            phi_key = phi_key * source_mask[:, None]
        context = phi_key.transpose(-1, -2) @ value.to(precision)
        normaliser = phi_query @ phi_key.sum(dim=-2).unsqueeze(-1) + EPSILON
        return (phi_query @ context / normaliser).to(query.dtype)
