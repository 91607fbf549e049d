"""What the selective scan is compared with, and what it must agree with.

Each takes the arguments of `logoseg.ops.selective_scan.selective_scan` with B and C of shape (batch, state, length).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def materialising_scan(
    u: Float[Tensor, "batch dim length"],
    delta: Float[Tensor, "batch dim length"],
    A: Float[Tensor, "dim state"],
    B: Float[Tensor, "batch state length"],
    C: Float[Tensor, "batch state length"],
    D: Float[Tensor, " dim"],
    delta_bias: Float[Tensor, " dim"],
) -> Float[Tensor, "batch dim length"]:
    """The algorithm of mamba-ssm's `selective_scan_ref`, written anew: mamba-ssm itself cannot be installed everywhere.

    Decays and inputs of all states exist for the whole sequence before a loop walks it. Autograd's backward is
    quadratic in the length: the gradient of each step's slice is a tensor of zeros as large as the whole.
    """
    delta = F.softplus(delta + delta_bias[:, None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    drive = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    state = torch.zeros_like(decay[:, :, 0])
    outputs = []
    for step in range(u.shape[2]):
        state = decay[:, :, step] * state + drive[:, :, step]
        outputs.append(torch.einsum("bdn,bn->bd", state, C[:, :, step]))
    return torch.stack(outputs, dim=2) + D[:, None] * u


def mambapy_scan(
    u: Float[Tensor, "batch dim length"],
    delta: Float[Tensor, "batch dim length"],
    A: Float[Tensor, "dim state"],
    B: Float[Tensor, "batch state length"],
    C: Float[Tensor, "batch state length"],
    D: Float[Tensor, " dim"],
    delta_bias: Float[Tensor, " dim"],
) -> Float[Tensor, "batch dim length"]:
    """mambapy's parallel scan, called as its own model calls it, down to the order of each tensor in memory."""
    from mambapy.pscan import pscan

    u, delta, B, C = u.mT, delta.mT, B.mT.contiguous(), C.mT.contiguous()  # (batch, length, ...)
    delta = F.softplus(delta + delta_bias)
    decay = torch.exp(delta.unsqueeze(-1) * A)  # (batch, length, dim, state)
    drive = delta.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1)
    y = (pscan(decay, drive) @ C.unsqueeze(-1)).squeeze(3) + D * u
    return y.mT


def sequential_scan(
    u: Float[Tensor, "batch dim length"],
    delta: Float[Tensor, "batch dim length"],
    A: Float[Tensor, "dim state"],
    B: Float[Tensor, "batch state length"],
    C: Float[Tensor, "batch state length"],
    D: Float[Tensor, " dim"],
    delta_bias: Float[Tensor, " dim"],
) -> Float[Tensor, "batch dim length"]:
    """The recurrence step by step in float64, without gradients: what all others must agree with."""
    u, delta, A, B, C, D, delta_bias = (x.detach().double() for x in (u, delta, A, B, C, D, delta_bias))
    delta = F.softplus(delta + delta_bias[:, None])
    state = u.new_zeros(*u.shape[:2], A.shape[1])
    y = torch.empty_like(u)
    for step in range(u.shape[2]):
        drive = (delta[:, :, step] * u[:, :, step]).unsqueeze(-1) * B[:, None, :, step]
        state = torch.exp(delta[:, :, step].unsqueeze(-1) * A) * state + drive
        y[:, :, step] = (state * C[:, None, :, step]).sum(-1) + D * u[:, :, step]
    return y
