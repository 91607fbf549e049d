"""The selective scan of Mamba (Gu and Dao, 2023, arXiv 2312.00752), and the choice of the code that runs it.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t        y_t = C_t . h_t + D u_t        h_0 = 0

Shapes and meaning are those of mamba-ssm's `selective_scan_fn`, for real A and for B, C that vary in time.
"""

import functools
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from logoseg.ops.chunked_scan import chunked_scan
from logoseg.ops.selective_scan_cpu import compiled_scan


def selective_scan(
    u: Float[Tensor, "batch dim length"],
    delta: Float[Tensor, "batch dim length"],
    A: Float[Tensor, "dim state"],
    B: Float[Tensor, "batch *groups state length"],
    C: Float[Tensor, "batch *groups state length"],
    D: Float[Tensor, " dim"] | None = None,
    delta_bias: Float[Tensor, " dim"] | None = None,
    delta_softplus: bool = False,
) -> Float[Tensor, "batch dim length"]:
    """Scan every channel of u along its length.

    B and C are (batch, state, length), or (batch, groups, state, length) where each group serves dim / groups
    successive channels. `delta_bias` is added to delta; then `delta_softplus` takes delta's softplus. Computed in
    float32 (float64 if u is), also under autocast; returned in the dtype of u. ValueError if the shapes do not fit.
    """
    _check_shapes(u, delta, A, B, C, D, delta_bias)
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32
    B, C = (x.unsqueeze(1) if x.dim() == 3 else x for x in (B, C))
    tensors = (None if x is None else x.to(dtype) for x in (u, delta, A, B, C, D, delta_bias))
    scan = _BACKENDS[backend_for(u.device, dtype)]
    return scan(*tensors, delta_softplus).to(u.dtype)


def backend_for(device: torch.device, dtype: torch.dtype) -> Literal["mamba_ssm", "compiled", "chunked"]:
    """Which code scans tensors of this device and dtype: on CUDA mamba_ssm's kernel where it can run, on a CPU the
    compiled one, both in float32; else plain torch."""
    if device.type == "cuda" and dtype == torch.float32 and mamba_ssm_kernel() is not None:
        return "mamba_ssm"
    return "compiled" if device.type == "cpu" and dtype == torch.float32 else "chunked"


@functools.cache
def mamba_ssm_kernel() -> Callable[..., Tensor] | None:
    """mamba_ssm's `selective_scan_fn`, or None where it cannot be imported (it is built for one torch and CUDA)."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return None
    return selective_scan_fn


def _mamba_ssm_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    kernel = mamba_ssm_kernel()
    assert kernel is not None  # backend_for has seen to it
    return kernel(u, delta, A, B, C, D=D, delta_bias=delta_bias, delta_softplus=delta_softplus)


def _scan_by_sequence(
    scan: Callable[..., Tensor],
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    """Every group of every image becomes one sequence of `scan`."""
    batch, groups, _, length = B.shape
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    y = scan(
        u.reshape(batch * groups, -1, length),
        delta.reshape(batch * groups, -1, length),
        A.unflatten(0, (groups, -1)).mT.expand(batch, -1, -1, -1).flatten(0, 1),
        B.flatten(0, 1),
        C.flatten(0, 1),
    ).view(u.shape)
    return y if D is None else torch.addcmul(y, u, D[:, None])


_BACKENDS: dict[str, Callable[..., Tensor]] = {
    "mamba_ssm": _mamba_ssm_scan,
    "compiled": partial(_scan_by_sequence, compiled_scan),
    "chunked": partial(_scan_by_sequence, chunked_scan),
}


def _check_shapes(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, delta_bias: Tensor | None
) -> None:
    if u.dim() != 3 or u.shape[2] == 0:
        raise ValueError(f"selective_scan: u must be (batch, dim, length) of length 1 or more, got {tuple(u.shape)}.")
    batch, dim, length = u.shape
    if A.dim() != 2:
        raise ValueError(f"selective_scan: A must be ({dim}, state), got {tuple(A.shape)}.")
    state = A.shape[1]
    grouped = (batch, B.shape[1], state, length) if B.dim() == 4 else (batch, state, length)
    wanted = {"delta": (batch, dim, length), "A": (dim, state), "B": grouped, "C": grouped}
    wanted |= {"D": (dim,), "delta_bias": (dim,)}
    given = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "delta_bias": delta_bias}
    for name, tensor in given.items():
        if tensor is not None and tensor.shape != wanted[name]:
            raise ValueError(f"selective_scan: {name} must be {wanted[name]}, got {tuple(tensor.shape)}.")
    if B.dim() == 4 and (B.shape[1] == 0 or dim % B.shape[1]):
        raise ValueError(f"selective_scan: dim {dim} must be a multiple of the {B.shape[1]} groups of B and C.")
