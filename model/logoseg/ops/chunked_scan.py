"""The selective scan in plain torch operations, for any device and dtype.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t        y_t = C_t . h_t        h_0 = 0

The sequence is cut into chunks. Forward keeps the state before each chunk and no other; backward walks the chunks
from the last to the first and computes each chunk's decays and states again. So at most three tensors hold a value a
state, for the steps of one chunk. Nothing is divided by a product of decays: one that underflows is just a zero.

Axes: R sequences, each with D channels that share B and C; L steps, N states a channel, S steps in a chunk. Inside,
time comes before the states and the channels come last, so that every operation runs along D in memory.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

# Steps between two kept states. Longer chunks fall out of a CPU's cache, shorter ones pay more calls a step.
CHUNK_LENGTH = 32
# On a CPU, sequences are run together up to this many states (R N D), for the same reason.
CACHED_STATES = 2**14

# Decays are taken as powers of two, since exp2 takes half the time of exp on a CPU.
_LOG2_E = math.log2(math.e)


@torch.compiler.disable
def chunked_scan(
    u: Float[Tensor, "R D L"],
    delta: Float[Tensor, "R D L"],
    A: Float[Tensor, "R N D"],
    B: Float[Tensor, "R N L"],
    C: Float[Tensor, "R N L"],
) -> Float[Tensor, "R D L"]:
    """Scan R sequences, each from state zero. All tensors share one device and one dtype, float32 or float64.

    A compiler would unroll the steps into a graph of thousands of operations, so it is told to keep out.
    """
    return _ChunkedScan.apply(u, delta, A, B, C)


class _Inputs(NamedTuple):
    """The inputs of `chunked_scan`, or the gradients with respect to them."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor

    def rows(self, rows: slice) -> "_Inputs":
        return _Inputs(*(tensor[rows] for tensor in self))


class _ChunkedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        inputs = _Inputs(*(tensor.contiguous() for tensor in tensors))
        num_sequences, num_channels, length = inputs.u.shape
        y = torch.empty_like(inputs.u)
        kept_states = y.new_empty(num_sequences, math.ceil(length / CHUNK_LENGTH), inputs.A.shape[1], num_channels)
        with torch.autocast(y.device.type, enabled=False):
            for rows in _blocks(inputs.A):
                _scan(inputs.rows(rows), y[rows], kept_states[rows])
        ctx.save_for_backward(*inputs, kept_states)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> _Inputs:
        *tensors, kept_states = ctx.saved_tensors
        inputs = _Inputs(*tensors)
        gradients = _Inputs(*(torch.empty_like(tensor) for tensor in inputs))
        with torch.autocast(grad_y.device.type, enabled=False):
            for rows in _blocks(inputs.A):
                _scan_backward(grad_y[rows], inputs.rows(rows), kept_states[rows], gradients.rows(rows))
        return gradients


def _blocks(A: Tensor) -> Iterator[slice]:
    """Rows to run together: a CPU wants them in its cache, other devices want them all."""
    num_sequences, num_states, num_channels = A.shape
    cached = max(1, CACHED_STATES // (num_states * num_channels))
    size = cached if A.device.type == "cpu" else max(1, num_sequences)
    return (slice(start, start + size) for start in range(0, num_sequences, size))


def _scan(inputs: _Inputs, y: Tensor, kept_states: Tensor) -> None:
    """Write y (R, D, L) and the state before each chunk (R, chunks, N, D)."""
    u, delta, B, C = (_time_first(x) for x in (inputs.u, inputs.delta, inputs.B, inputs.C))
    y_time_first = torch.empty_like(u)
    log2_decay = inputs.A * _LOG2_E
    decay, state = (_ChunkBuffer.of(u, inputs.A) for _ in range(2))
    last = torch.zeros_like(inputs.A)
    for index, steps in enumerate(_chunks(u)):
        kept_states[:, index] = last
        drive = delta[:, steps] * u[:, steps]
        last = _run_chunk(decay, state, log2_decay, delta[:, steps], drive, B[:, steps], last=kept_states[:, index])
        chunk = state.values[:, : drive.shape[1]]
        torch.matmul(C[:, steps].unsqueeze(2), chunk, out=y_time_first[:, steps].unsqueeze(2))
    _swap_last_axes(y_time_first, out=y)


def _scan_backward(grad_y: Tensor, inputs: _Inputs, kept_states: Tensor, gradients: _Inputs) -> None:
    """Write the gradients of all inputs, given that of y.

    The gradient of h_t is g_t = C_t dy_t + exp(delta_{t+1} A) g_{t+1}; that of the exponent delta_t A, where it
    meets h_{t-1}, is g_t exp(delta_t A) h_{t-1}.
    """
    u, delta, B, C, dy = (_time_first(x) for x in (inputs.u, inputs.delta, inputs.B, inputs.C, grad_y))
    grad_u, grad_delta, grad_B, grad_C = (torch.empty_like(x) for x in (u, delta, B, C))
    log2_decay = inputs.A * _LOG2_E
    decay, state, grad_state = (_ChunkBuffer.of(u, inputs.A) for _ in range(3))
    from_later = torch.zeros_like(inputs.A)
    gradients.A.zero_()
    for index, steps in reversed(list(enumerate(_chunks(u)))):
        initial = kept_states[:, index]
        drive = delta[:, steps] * u[:, steps]
        _run_chunk(decay, state, log2_decay, delta[:, steps], drive, B[:, steps], last=initial)

        size = drive.shape[1]
        decay_chunk, state_chunk, grad_chunk = (buffer.values[:, :size] for buffer in (decay, state, grad_state))
        u_row, delta_row, dy_row = (x[:, steps].unsqueeze(2) for x in (u, delta, dy))  # (R, S, 1, D)
        torch.matmul(dy_row, state_chunk.mT, out=grad_C[:, steps].unsqueeze(2))

        torch.mul(C[:, steps].unsqueeze(3), dy_row, out=grad_chunk)
        grad_state.steps[size - 1].add_(from_later)
        _recur(reversed(decay.steps[1:size]), reversed(grad_state.steps[: size - 1]), last=grad_state.steps[size - 1])
        torch.mul(decay.steps[0], grad_state.steps[0], out=from_later)

        torch.matmul(drive.unsqueeze(2), grad_chunk.mT, out=grad_B[:, steps].unsqueeze(2))
        grad_drive = torch.matmul(B[:, steps].unsqueeze(2), grad_chunk)  # (R, S, 1, D)
        torch.mul(grad_drive, delta_row, out=grad_u[:, steps].unsqueeze(2))

        grad_exponent = decay_chunk.mul_(grad_chunk)
        decay.steps[0].mul_(initial)
        decay_chunk[:, 1:].mul_(state_chunk[:, :-1])
        from_exponent = torch.mul(grad_exponent, inputs.A.unsqueeze(1), out=state_chunk).sum(2, keepdim=True)
        torch.addcmul(from_exponent, grad_drive, u_row, out=grad_delta[:, steps].unsqueeze(2))
        gradients.A.add_(grad_exponent.mul_(delta_row).sum(1))
    _swap_last_axes(grad_u, out=gradients.u)
    _swap_last_axes(grad_delta, out=gradients.delta)
    _swap_last_axes(grad_B, out=gradients.B)
    _swap_last_axes(grad_C, out=gradients.C)


class _ChunkBuffer(NamedTuple):
    """Room for one value a state and step of a chunk, and its views step by step, since making views takes time."""

    values: Tensor  # (R, S, N, D)
    steps: tuple[Tensor, ...]  # S times (R, N, D)

    @classmethod
    def of(cls, u: Tensor, A: Tensor) -> "_ChunkBuffer":
        num_sequences, num_states, num_channels = A.shape
        values = A.new_empty(num_sequences, min(CHUNK_LENGTH, u.shape[1]), num_states, num_channels)
        return cls(values, values.unbind(1))


def _run_chunk(
    decay: _ChunkBuffer, state: _ChunkBuffer, log2_decay: Tensor, delta: Tensor, drive: Tensor, B: Tensor, last: Tensor
) -> Tensor:
    """Fill the decays and the states of one chunk (S <= CHUNK_LENGTH steps); return its last state (R, N, D)."""
    size = drive.shape[1]
    torch.mul(delta.unsqueeze(2), log2_decay.unsqueeze(1), out=decay.values[:, :size]).exp2_()
    torch.mul(drive.unsqueeze(2), B.unsqueeze(3), out=state.values[:, :size])
    return _recur(decay.steps[:size], state.steps[:size], last=last)


def _recur(decays: Iterable[Tensor], values: Iterable[Tensor], *, last: Tensor) -> Tensor:
    """Add to each value its decay times the value before it, in place; return the last one."""
    for decay, value in zip(decays, values, strict=True):
        last = value.addcmul_(decay, last)
    return last


def _chunks(u: Tensor) -> list[slice]:
    length = u.shape[1]
    return [slice(start, min(start + CHUNK_LENGTH, length)) for start in range(0, length, CHUNK_LENGTH)]


def _time_first(tensor: Tensor) -> Tensor:
    """A contiguous (R, L, ...) copy of (R, ..., L)."""
    return _swap_last_axes(tensor, out=tensor.new_empty(tensor.shape[0], tensor.shape[2], tensor.shape[1]))


def _swap_last_axes(tensor: Tensor, *, out: Tensor) -> Tensor:
    """Plane by plane, because torch copies a transposed matrix in blocks, and nothing of higher rank."""
    for source, target in zip(tensor, out, strict=True):
        target.copy_(source.t())
    return out
