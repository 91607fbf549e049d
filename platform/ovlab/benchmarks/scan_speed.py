"""Time and memory of the selective scan: logoseg's plain torch, mamba-ssm's published reference, mambapy.

All run in one process on the same float32 inputs, and the output of each is compared with a float64 loop.
"""

import argparse
import importlib.util
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from logoseg.ops.selective_scan import selective_scan
from ovlab.benchmarks.measure import Measurement, measure
from ovlab.benchmarks.outcome import Report, Value
from ovlab.benchmarks.scan_baselines import mambapy_scan, materialising_scan, sequential_scan
from ovlab.specs.errors import InputError

OURS = "logoseg, plain torch"
MATERIALISING = "mamba-ssm's reference (rewritten)"
BACKENDS: dict[str, Callable[..., Tensor]] = {
    OURS: partial(selective_scan, delta_softplus=True),
    MATERIALISING: materialising_scan,
    "mambapy pscan": mambapy_scan,
}
# Above this length the quadratic backward of the reference takes minutes a call.
MAX_QUADRATIC_LENGTH = 576


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[576, 2304], help="sequence lengths (default 576 2304)"
    )
    parser.add_argument("--dim", type=int, default=1024, help="channels (default 1024)")
    parser.add_argument("--state", type=int, default=16, help="states a channel (default 16)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=int, default=7, help="timed calls, of which the median counts (default 7)")
    parser.add_argument(
        "--all-backwards",
        action="store_true",
        help=f"also the reference's backward above length {MAX_QUADRATIC_LENGTH}, which is quadratic: minutes a call",
    )


def run(arguments: argparse.Namespace) -> Report:
    """One row a length and backend; ratios are the backend's figure over ours at that length."""
    if importlib.util.find_spec("mambapy") is None:
        raise InputError("bench scan compares with mambapy, which is not installed: pip install mambapy.")
    threads_before = torch.get_num_threads()
    torch.set_num_threads(arguments.threads)
    try:
        rows = [row for length in arguments.lengths for row in _rows(arguments, length)]
    finally:
        torch.set_num_threads(threads_before)
    context: dict[str, Value] = {"batch": 1, "dim": arguments.dim, "state": arguments.state}
    context |= {"threads": arguments.threads, "device": "cpu", "torch": torch.__version__}
    return Report(name="scan", title="Selective scan, float32", rows=rows, context=context)


def _rows(arguments: argparse.Namespace, length: int) -> list[dict[str, Value]]:
    inputs = scan_inputs(dim=arguments.dim, state=arguments.state, length=length)
    truth = sequential_scan(*inputs)
    figures: dict[str, tuple[Measurement, Measurement | None]] = {}
    rows = []
    for name, scan in BACKENDS.items():
        quadratic = name == MATERIALISING
        skip = quadratic and length > MAX_QUADRATIC_LENGTH and not arguments.all_backwards
        with torch.no_grad():
            error = _relative_error(scan(*inputs), truth)
            forward = measure(partial(scan, *inputs), repeats=arguments.repeats)
        both = None if skip else _measure_both(scan, inputs, repeats=1 if quadratic else arguments.repeats)
        figures[name] = (forward, both)
        rows.append(_row(name, length, figures[name], figures[OURS], error))
    return rows


def scan_inputs(*, dim: int, state: int, length: int) -> tuple[Tensor, ...]:
    """u, delta, A, B, C, D and delta_bias as a freshly initialised Mamba layer would have them; batch 1."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    step_sizes = torch.empty(dim).uniform_(math.log(1e-3), math.log(1e-1), generator=generator).exp()
    inputs = (
        normal(1, dim, length),
        normal(1, dim, length) / 2,
        -torch.arange(1.0, state + 1).repeat(dim, 1),
        normal(1, state, length),
        normal(1, state, length),
        torch.ones(dim),
        step_sizes.expm1().log(),  # the inverse of softplus
    )
    return tuple(x.requires_grad_() for x in inputs)


def _measure_both(scan: Callable[..., Tensor], inputs: tuple[Tensor, ...], *, repeats: int) -> Measurement:
    """Forward and the gradients of all inputs."""
    weights = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1))
    return measure(lambda: torch.autograd.grad(scan(*inputs), inputs, weights), repeats=repeats, warmups=repeats > 1)


def _row(
    name: str,
    length: int,
    figures: tuple[Measurement, Measurement | None],
    ours: tuple[Measurement, Measurement | None],
    error: float,
) -> dict[str, Value]:
    (forward, both), (our_forward, our_both) = figures, ours
    seconds, peak = (None, None) if both is None else (both.seconds, both.peak_bytes / 1e6)
    our_seconds, our_peak = (None, None) if our_both is None else (our_both.seconds, our_both.peak_bytes / 1e6)
    return {
        "backend": name,
        "L": length,
        "forward s": forward.seconds,
        "x ours": _ratio(forward.seconds, our_forward.seconds),
        "forward + backward s": seconds,
        "x ours (both)": _ratio(seconds, our_seconds),
        "peak MB (both)": peak,
        "x ours (peak)": _ratio(peak, our_peak),
        "max error / max": error,
    }


def _ratio(value: float | None, unit: float | None) -> float | None:
    """None where one was not measured, or where the unit is below what the kernel's counters can tell."""
    return value / unit if value is not None and unit else None


def _relative_error(y: Tensor, truth: Tensor) -> float:
    return ((y.double() - truth).abs().max() / truth.abs().max()).item()
