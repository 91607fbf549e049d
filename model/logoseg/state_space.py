"""SS2D: a selective scan over a map, along four paths (Liu et al., 2024, VMamba, arXiv 2401.10166; eq. 9).

Rows, columns and both backwards: between them every token reaches every other in time linear in their number. The
paths share input and output but no weight of the scan, so they are four groups of one call of `selective_scan`.

Axes: B images, D channels, h x w tokens, L = h w, N states a channel, R rank of the step size's projection.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.ops.selective_scan import selective_scan

NUM_PATHS = 4
# Step sizes at initialisation, as in Mamba: log-uniform in this range, so that channels forget at many rates.
INITIAL_STEP_SIZES = (1e-3, 1e-1)


def cross_scan(x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B 4 D L"]:
    """The map as four sequences: row by row, column by column, and the same two from the end."""
    forward = torch.stack([x.flatten(2), x.mT.flatten(2)], dim=1)
    return torch.cat([forward, forward.flip(-1)], dim=1)


def cross_merge(sequences: Float[Tensor, "B 4 D L"], height: int, width: int) -> Float[Tensor, "B D {height} {width}"]:
    """The sum of four sequences in the order of `cross_scan`, each laid back onto the map."""
    forward = sequences[:, :2] + sequences[:, 2:].flip(-1)
    rows = forward[:, 0].unflatten(-1, (height, width))
    columns = forward[:, 1].unflatten(-1, (width, height))
    return rows + columns.mT


class SS2D(nn.Module):
    """Project to x and a gate, mix neighbours of x, scan it along four paths, gate, project back."""

    def __init__(self, *, dim: int, state_dim: int = 16, expansion: float = 1.0) -> None:
        super().__init__()
        inner_dim = int(expansion * dim)
        if inner_dim < 1:
            raise ValueError(f"SS2D: expansion * dim must be at least 1, got {expansion} * {dim}.")
        rank = math.ceil(dim / 16)
        self.split_sizes = (rank, state_dim, state_dim)
        self.in_proj = nn.Conv2d(dim, 2 * inner_dim, kernel_size=1, bias=False)
        self.conv = nn.Conv2d(inner_dim, inner_dim, kernel_size=3, padding=1, groups=inner_dim)
        self.x_proj = nn.Parameter(_uniform(NUM_PATHS, sum(self.split_sizes), inner_dim, bound=inner_dim**-0.5))
        self.dt_proj = nn.Parameter(_uniform(NUM_PATHS, inner_dim, rank, bound=rank**-0.5))
        self.dt_bias = nn.Parameter(_inverse_softplus(_initial_step_sizes(NUM_PATHS * inner_dim)))
        self.A_log = _without_weight_decay(torch.arange(1.0, state_dim + 1).log().repeat(NUM_PATHS * inner_dim, 1))
        self.D = _without_weight_decay(torch.ones(NUM_PATHS * inner_dim))
        self.norm = nn.LayerNorm(inner_dim)
        self.out_proj = nn.Conv2d(inner_dim, dim, kernel_size=1, bias=False)

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        x, gate = self.in_proj(x).chunk(2, dim=1)
        y = self._scan(F.silu(self.conv(x)))
        y = self.norm(y.movedim(1, -1)).movedim(-1, 1)
        return self.out_proj(y * F.silu(gate))

    def _scan(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        """The sum of the four scans, in float32 at least, also where autocast made x narrower."""
        sequences = cross_scan(x)  # (B, 4, D, L)
        step, B, C = (self.x_proj @ sequences).split(self.split_sizes, dim=2)  # (B, 4, R | N | N, L)
        y = selective_scan(
            sequences.flatten(1, 2).to(torch.promote_types(x.dtype, torch.float32)),
            (self.dt_proj @ step).flatten(1, 2),
            -self.A_log.exp(),
            B,
            C,
            self.D,
            delta_bias=self.dt_bias,
            delta_softplus=True,
        )
        return cross_merge(y.unflatten(1, (NUM_PATHS, -1)), *x.shape[2:])


def _uniform(*shape: int, bound: float) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound)


def _initial_step_sizes(num_channels: int) -> Tensor:
    low, high = (math.log(size) for size in INITIAL_STEP_SIZES)
    return torch.empty(num_channels).uniform_(low, high).exp()


def _inverse_softplus(x: Tensor) -> Tensor:
    return x + torch.log(-torch.expm1(-x))


def _without_weight_decay(value: Tensor) -> nn.Parameter:
    """Decay would pull the forgetting rates exp(A_log) towards 1, and the skip D towards nothing."""
    parameter = nn.Parameter(value)
    parameter._no_weight_decay = True  # type: ignore[attr-defined]
    return parameter
