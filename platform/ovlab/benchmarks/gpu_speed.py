"""Images/s of training and of evaluation on one CUDA device, and its selective scan against mamba-ssm's kernel.

An update of training is that of `ovlab train` (forward, loss, backward, clip, AdamW) on made pictures of the size of
the preset; evaluation goes from a made photograph of 480 x 640 to the class of every pixel, by the sliding window of
the paper. Weights are random. "of peak" are the FLOPs of products and convolutions, as torch counts them, over those
that a square matrix product reaches in the same run and precision. What is not begun within --seconds has no figures,
nor has what does not fit into the memory of the device.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from logoseg.network import LoGoSeg
from logoseg.ops.chunked_scan import chunked_scan
from logoseg.ops.selective_scan import mamba_ssm_kernel
from logoseg.presets import PRESETS
from ovlab.benchmarks.outcome import Report, Value
from ovlab.benchmarks.scan_speed import scan_inputs
from ovlab.evaluation.evaluator import predict_labels
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import sliding_window
from ovlab.specs.suite import PAPER
from ovlab.training.objective import autocast, objective_of
from ovlab.training.optimizer import build_optimizer
from ovlab.training.step import train_step

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
# Of COCO-Stuff.
_TRAINED_CLASSES = 171
_PHOTOGRAPH = (480, 640)
# Of the two factors of the product that stands for the peak; of a scan of the paper's token grid, 24 x 24.
_PRODUCT_SIDE = 8192
_SCAN = {"dim": 1024, "state": 16, "length": 576}
# Calls of one case, after one that does not count.
_CALLS, _CASE_SECONDS = 10, 10.0


class Case(NamedTuple):
    """What is timed: `prepare` gives the call, of `num_images` images; `flops` those of a call."""

    what: str
    prepare: Callable[[], Callable[[], object]]
    num_images: int | None = None
    precision: Precision = "float32"
    flops: Callable[[], float] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--presets",
        nargs="+",
        choices=sorted(PRESETS),
        default=["vit-b16", "vit-l14"],
        help="default: vit-b16 vit-l14",
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 16], help="of training (default: 4 16)")
    parser.add_argument("--num-classes", type=int, nargs="+", default=[150, 847], help="evaluated (default: 150 847)")
    parser.add_argument("--seconds", type=int, default=420, help="no case is begun after so many (default: 420)")


def run(arguments: argparse.Namespace) -> Report:
    """A row a case. Raises InputError without a CUDA device."""
    if not torch.cuda.is_available():
        raise InputError("bench gpu measures a CUDA device, and this machine has none that torch can use.")
    device = torch.device("cuda")
    return Report(
        name="gpu",
        title="One CUDA device",
        rows=measured_rows(arguments, device),
        context={"device": torch.cuda.get_device_name(device), "torch": torch.__version__},
    )


def measured_rows(arguments: argparse.Namespace, device: torch.device) -> list[dict[str, Value]]:
    """Those of `run`, of any device."""
    end = time.monotonic() + arguments.seconds
    peaks = {precision: product_rate(device, precision, _PRODUCT_SIDE) for precision in PRECISIONS}
    return [
        _row(case, peaks[case.precision], device, is_late=time.monotonic() > end) for case in _cases(arguments, device)
    ]


def _cases(arguments: argparse.Namespace, device: torch.device) -> Iterator[Case]:
    for preset in arguments.presets:
        torch.manual_seed(0)
        model = LoGoSeg(PRESETS[preset]()).to(device)
        for size, precision in product(arguments.batch_sizes, PRECISIONS):
            yield training_case(model, f"{preset}, training, batch {size}", size, precision)
        for num_classes in arguments.num_classes:
            yield evaluation_case(model, f"{preset}, evaluation, {num_classes} classes", num_classes)
        del model  # before the next one is built
    yield Case("selective scan, ours", lambda: _scan_call(ours_in_torch, device))
    kernel = mamba_ssm_kernel()
    if kernel is not None:
        yield Case("selective scan, mamba-ssm", lambda: _scan_call(_with_softplus(kernel), device))


def training_case(model: LoGoSeg, what: str, batch_size: int, precision: Precision) -> Case:
    """Updates of `model`, on its device."""
    schedule = replace(PAPER.schedule, batch_size=batch_size, precision=precision)
    objective = objective_of(model, schedule, tuple(map(str, range(_TRAINED_CLASSES))))

    def inputs(num_images: int) -> tuple[Tensor, Tensor, Tensor]:
        shape, device = (num_images, model.input_size, model.input_size), model.base_query.device
        images = torch.rand(num_images, 3, *shape[1:], device=device)
        return images, torch.randint(_TRAINED_CLASSES, shape, device=device), made_text(model, _TRAINED_CLASSES)

    def prepare() -> Callable[[], object]:
        (images, labels, text), optimizer = inputs(batch_size), build_optimizer(model, schedule)
        objective.train()
        return lambda: train_step(objective, text, images, labels, optimizer, schedule, step=1)

    def flops() -> float:
        with FlopCounterMode(display=False) as counter:
            objective(*inputs(1)).backward()
        model.zero_grad(set_to_none=True)
        return float(batch_size * counter.get_total_flops())

    return Case(what, prepare, batch_size, precision, flops)


def evaluation_case(model: LoGoSeg, what: str, num_classes: int) -> Case:
    """One photograph through `model`, on its device."""
    image = np.random.default_rng(0).integers(256, size=(*_PHOTOGRAPH, 3), dtype=np.uint8)
    protocol = sliding_window(model.input_size)

    def prepare() -> Callable[[], object]:
        text, device = made_text(model, num_classes), model.base_query.device
        return lambda: predict_labels(model, text, image, protocol, device)

    return Case(what, prepare, 1)


def made_text(model: LoGoSeg, num_classes: int) -> Float[Tensor, "N P C"]:
    """Random unit vectors."""
    width = model.image_encoder.joint_dim
    return F.normalize(
        torch.randn(num_classes, len(model.prompt_templates), width, device=model.base_query.device), dim=-1
    )


def product_rate(device: torch.device, precision: Precision, side: int) -> float:
    """FLOP/s of a product of two square matrices."""
    left, right = torch.rand(2, side, side, device=device)
    with autocast(device, precision):
        return 2 * side**3 / seconds_of(lambda: left @ right, device)


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """The median over some calls, after one that does not count."""
    times: list[float] = []
    call()
    while not times or (len(times) < _CALLS and sum(times) < _CASE_SECONDS):
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def ours_in_torch(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Float[Tensor, "1 dim length"]:
    """What runs on a GPU where mamba-ssm's kernel cannot be imported; one sequence."""
    steps = F.softplus(delta + delta_bias[:, None])
    return torch.addcmul(chunked_scan(u, steps, A.mT[None], B, C), u, D[:, None])


def _with_softplus(kernel: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *inputs: kernel(*inputs[:6], delta_bias=inputs[6], delta_softplus=True)


def _scan_call(scan: Callable[..., Tensor], device: torch.device) -> Callable[[], object]:
    """Forward and the gradients of all inputs."""
    inputs = [tensor.detach().to(device).requires_grad_() for tensor in scan_inputs(**_SCAN)]
    return lambda: torch.autograd.grad(scan(*inputs).square().sum(), inputs)


def _row(case: Case, peak: float, device: torch.device, *, is_late: bool) -> dict[str, Value]:
    seconds = num_bytes = share = None
    if not is_late:
        try:
            _forget_peak(device)
            seconds = seconds_of(case.prepare(), device)
            num_bytes = _peak_bytes(device)
            share = case.flops() / seconds / peak if case.flops is not None else None
        except torch.OutOfMemoryError:
            pass  # the row stands without figures
    return {
        "what": case.what,
        "precision": case.precision,
        "ms": None if seconds is None else 1e3 * seconds,
        "images/s": None if seconds is None or case.num_images is None else case.num_images / seconds,
        "of peak": share,
        "peak MB": None if num_bytes is None else num_bytes / 1e6,
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_bytes(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
