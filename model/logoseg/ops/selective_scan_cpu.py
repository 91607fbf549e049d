"""The CPU half of logoseg.ops.selective_scan: one compiled pass over the steps of a sequence, in float32.

    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t        y_t = C_t . h_t        h_0 = 0

States lie (N, D), so that every inner loop runs along the channels. Forward keeps the state before each chunk of steps
and no other; backward walks the chunks from the last to the first and computes the states of each again.

Axes: R sequences, each with D channels that share B and C; L steps, N states a channel.
"""

import math
from typing import Any, no_type_check

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable

from logoseg.ops.compiled import compiled, compiled_sums, run_on_threads

# Steps between two kept states: with 64 channels of 16 states, what backward holds of a chunk fits a core's cache.
CHUNK_LENGTH = 32

# Decays are taken as powers of two.
_LOG2_E = math.log2(math.e)


@torch.compiler.disable
def compiled_scan(
    u: Float32[Tensor, "R D L"],
    delta: Float32[Tensor, "R D L"],
    A: Float32[Tensor, "R N D"],
    B: Float32[Tensor, "R N L"],
    C: Float32[Tensor, "R N L"],
) -> Float32[Tensor, "R D L"]:
    """Scan R sequences on a CPU, each from state zero, on as many threads as torch uses."""
    return _CompiledScan.apply(u, delta, A, B, C)


class _CompiledScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        inputs = [tensor.contiguous() for tensor in tensors]
        num_sequences, num_channels, length = inputs[0].shape
        y = torch.empty_like(inputs[0])
        kept = y.new_empty(num_sequences, math.ceil(length / CHUNK_LENGTH), inputs[2].shape[1], num_channels)
        _each_sequence(_scan, *inputs, kept, y)
        ctx.save_for_backward(*inputs, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor, ...]:
        *inputs, kept = ctx.saved_tensors
        gradients = tuple(torch.empty_like(tensor) for tensor in inputs)
        _each_sequence(_scan_backward, *inputs, kept, grad_y.contiguous(), *gradients)
        return gradients


def _each_sequence(kernel: Any, *tensors: Tensor) -> None:
    arrays = [tensor.detach().numpy() for tensor in tensors]
    num_sequences = len(arrays[0])
    run_on_threads(
        lambda row: kernel(*(array[row] for array in arrays)), range(num_sequences), num_threads=num_sequences
    )


@compiled_sums
@no_type_check
def _scan(u, delta, A, B, C, kept, y):
    num_states, num_channels = A.shape
    u_steps, delta_steps = np.ascontiguousarray(u.T), np.ascontiguousarray(delta.T)
    exponents = A * np.float32(_LOG2_E)
    y_steps = np.zeros(u_steps.shape, np.float32)
    state = np.zeros(A.shape, np.float32)
    drive = np.empty(num_channels, np.float32)
    for t in range(len(u_steps)):
        if t % CHUNK_LENGTH == 0:
            kept[t // CHUNK_LENGTH] = state
        for d in range(num_channels):
            drive[d] = delta_steps[t, d] * u_steps[t, d]
        for n in range(num_states):
            b, c = B[n, t], C[n, t]
            for d in range(num_channels):
                value = state[n, d] * _exp2(delta_steps[t, d] * exponents[n, d]) + drive[d] * b
                state[n, d] = value
                y_steps[t, d] += c * value
    y[:] = y_steps.T


@compiled_sums
@no_type_check
def _scan_backward(u, delta, A, B, C, kept, grad_y, grad_u, grad_delta, grad_A, grad_B, grad_C):
    """The gradient of h_t is g_t = C_t dy_t + exp(delta_{t+1} A) g_{t+1}; that of the exponent delta_t A, where it
    meets h_{t-1}, is g_t exp(delta_t A) h_{t-1}."""
    num_states, num_channels = A.shape
    u_steps, delta_steps = np.ascontiguousarray(u.T), np.ascontiguousarray(delta.T)
    dy_steps = np.ascontiguousarray(grad_y.T)
    exponents = A * np.float32(_LOG2_E)
    grad_u_steps, grad_delta_steps = np.empty(u_steps.shape, np.float32), np.empty(u_steps.shape, np.float32)
    states = np.empty((CHUNK_LENGTH + 1, num_states, num_channels), np.float32)
    decays = np.empty((CHUNK_LENGTH, num_states, num_channels), np.float32)
    drive = np.empty(num_channels, np.float32)
    grad_drive = np.empty(num_channels, np.float32)
    from_exponent = np.empty(num_channels, np.float32)
    from_later = np.zeros(A.shape, np.float32)
    grad_A[:] = 0
    for chunk in range(len(kept) - 1, -1, -1):
        first = chunk * CHUNK_LENGTH
        size = min(CHUNK_LENGTH, len(u_steps) - first)
        states[0] = kept[chunk]
        for k in range(size):
            t = first + k
            for n in range(num_states):
                b = B[n, t]
                for d in range(num_channels):
                    decays[k, n, d] = _exp2(delta_steps[t, d] * exponents[n, d])
                    states[k + 1, n, d] = decays[k, n, d] * states[k, n, d] + delta_steps[t, d] * u_steps[t, d] * b
        for k in range(size - 1, -1, -1):
            t = first + k
            for d in range(num_channels):
                drive[d] = delta_steps[t, d] * u_steps[t, d]
                grad_drive[d] = from_exponent[d] = 0
            for n in range(num_states):
                b, c = B[n, t], C[n, t]
                of_b = of_c = np.float32(0)
                for d in range(num_channels):
                    grad_state = from_later[n, d] + c * dy_steps[t, d]
                    of_b += drive[d] * grad_state
                    of_c += dy_steps[t, d] * states[k + 1, n, d]
                    grad_drive[d] += b * grad_state
                    passed_on = grad_state * decays[k, n, d]
                    from_later[n, d] = passed_on
                    exponent = passed_on * states[k, n, d]
                    from_exponent[d] += exponent * A[n, d]
                    grad_A[n, d] += exponent * delta_steps[t, d]
                grad_B[n, t], grad_C[n, t] = of_b, of_c
            for d in range(num_channels):
                grad_u_steps[t, d] = grad_drive[d] * delta_steps[t, d]
                grad_delta_steps[t, d] = grad_drive[d] * u_steps[t, d] + from_exponent[d]
    grad_u[:] = grad_u_steps.T
    grad_delta[:] = grad_delta_steps.T


@compiled
@no_type_check
def _exp2(x):
    """2 ** x to 1e-7 of itself, with no call and no branch, so that loops of it run on whole registers.

    Adding 1.5 * 2 ** 23 and taking it away rounds, in this order alone, and the bits of the sum hold the whole part.
    Half of it makes one power of two and the rest another, so that their product can be below the least normal number.
    """
    bounded = max(min(x, np.float32(250)), np.float32(-250))
    shifted = np.float32(bounded + np.float32(12582912))
    rest = bounded - (shifted - np.float32(12582912))
    power = np.float32(0.00015469732) * rest + np.float32(0.0013400432)
    power = power * rest + np.float32(0.009618026)
    power = power * rest + np.float32(0.055503272)
    power = power * rest + np.float32(0.24022651)
    power = power * rest + np.float32(0.69314721)
    power = power * rest + np.float32(1)
    whole = np.int32(np.float32(shifted).view(np.int32) - np.int32(0x4B400000))
    half = np.int32(whole >> np.int32(1))
    first = np.int32((half + np.int32(127)) << np.int32(23))
    second = np.int32((whole - half + np.int32(127)) << np.int32(23))
    return power * np.int32(first).view(np.float32) * np.int32(second).view(np.float32)
