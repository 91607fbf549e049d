"""Self-attention inside stripes of the token grid: the direction-aware attention of eq. 8 (A11).

A horizontal stripe is s tokens high and spans the whole width, a vertical one is s wide and spans the height. A
relative position bias, one table for row offsets and one for column offsets, tells neighbours from distant tokens.

Axes: B images, D channels, H x W tokens, s stripe width.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

# Offsets beyond this share one bias, so that any grid can be attended to.
MAX_OFFSET = 31


class RectangularAttention(nn.Module):
    """Multi-head attention in stripes along one direction; x + MHSA(LN(x))."""

    def __init__(
        self, *, dim: int, num_heads: int, stripe_width: int, direction: Literal["horizontal", "vertical"]
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.stripe_width = stripe_width
        self.direction = direction
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.row_bias = nn.Parameter(torch.zeros(num_heads, 2 * MAX_OFFSET + 1))
        self.column_bias = nn.Parameter(torch.zeros(num_heads, 2 * MAX_OFFSET + 1))

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        return x + self._vertical(x) if self.direction == "vertical" else x + self._horizontal(x)

    def _vertical(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        return self._horizontal(x.transpose(2, 3)).transpose(2, 3)

    def _horizontal(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        batch, dim, height, width = x.shape
        stripe = min(self.stripe_width, height)
        padding = -height % stripe
        tokens = F.pad(self.norm(x.permute(0, 2, 3, 1)), (0, 0, 0, 0, 0, padding))  # (B, H', W, D)
        stripes = tokens.reshape(-1, stripe * width, dim)  # rows are contiguous: a stripe is a plain reshape
        query, key, value = self.qkv(stripes).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.position_bias(stripe, width).to(query.dtype)
        if padding:
            bias = bias + _padding_bias(batch, height, padding, stripe, width, query)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        attended = self.out(attended.transpose(1, 2).flatten(2))
        return attended.reshape(batch, height + padding, width, dim)[:, :height].permute(0, 3, 1, 2)

    def position_bias(self, stripe: int, width: int) -> Float[Tensor, "heads T T"]:
        """The bias between every two tokens of one stripe of `stripe` x `width` tokens."""
        rows, columns = _pairs(self.row_bias, stripe), _pairs(self.column_bias, width)
        bias = rows[:, :, None, :, None] + columns[:, None, :, None, :]  # (heads, s, W, s, W)
        return bias.flatten(3, 4).flatten(1, 2)


def _pairs(table: Float[Tensor, "heads M"], length: int) -> Float[Tensor, "heads L L"]:
    """The entry of a bias table for every pair of positions. Not table[:, offsets]: on several threads the sums of its
    gradient have no fixed order."""
    offsets = _offsets(length, table.device)
    return table.index_select(1, offsets.flatten()).unflatten(1, offsets.shape)


def _offsets(length: int, device: torch.device) -> Tensor:
    """The index into a bias table for every pair of positions."""
    position = torch.arange(length, device=device)
    return (position[None, :] - position[:, None]).clamp(-MAX_OFFSET, MAX_OFFSET) + MAX_OFFSET


def _padding_bias(batch: int, height: int, padding: int, stripe: int, width: int, like: Tensor) -> Tensor:
    """-inf for the padded rows of the last stripe, as keys: (B * stripes, 1, 1, stripe * width)."""
    rows = torch.arange(height + padding, device=like.device) < height
    bias = torch.zeros(rows.shape, dtype=like.dtype, device=like.device).masked_fill_(~rows, -torch.inf)
    return bias.reshape(-1, stripe).repeat_interleave(width, dim=1).repeat(batch, 1)[:, None, None, :]
