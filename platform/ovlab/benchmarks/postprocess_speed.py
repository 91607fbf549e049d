"""Time and memory of two ways from coarse scores to a label map: up-sampled then arg-maxed, and both at once.

The naive way is F.interpolate to N x H x W, then argmax. The input is float32, in two kinds:
- smooth: per class a 6 x 6 grid of normal noise, enlarged bicubically and tripled, plus a normal offset of deviation 2.
  As of a trained network: broad regions, a few classes competing in each, most classes winning nowhere.
- noise: independent normal numbers, the worst case: nearly every class could win in nearly every cell.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int64
from torch import Tensor

from logoseg.ops.upsample_argmax import upsample_argmax
from ovlab.benchmarks.measure import measure
from ovlab.benchmarks.outcome import Report, Value

MEBIBYTE = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--classes", type=int, nargs="+", default=[150, 847], help="class counts (default 150 847)")
    parser.add_argument(
        "--grid", type=int, nargs=2, default=[96, 96], metavar=("H", "W"), help="coarse grid (default 96 96)"
    )
    parser.add_argument(
        "--size", type=int, nargs=2, default=[512, 683], metavar=("H", "W"), help="pixels (default 512 683)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, of which the median counts (default 5)")


def run(arguments: argparse.Namespace) -> Report:
    """One row a class count and kind of scores; ratios are the naive way's figure over ours."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(arguments.threads)
    try:
        rows = [
            _row(kind, num_classes, make((num_classes, *arguments.grid)), tuple(arguments.size), arguments.repeats)
            for kind, make in KINDS.items()
            for num_classes in arguments.classes
        ]
    finally:
        torch.set_num_threads(threads_before)
    context: dict[str, Value] = {
        "grid": "x".join(map(str, arguments.grid)),
        "size": "x".join(map(str, arguments.size)),
        "threads": arguments.threads,
        "device": "cpu",
        "torch": torch.__version__,
    }
    return Report(name="postprocess", title="Bilinear up-sampling and argmax, float32", rows=rows, context=context)


def naive_argmax(scores: Float[Tensor, "N h w"], size: tuple[int, int]) -> Int64[Tensor, "H W"]:
    return F.interpolate(scores[None], size, mode="bilinear", align_corners=False)[0].argmax(dim=0)


def smooth_scores(shape: tuple[int, int, int]) -> Float[Tensor, "N h w"]:
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(1, shape[0], 6, 6, generator=generator)
    offsets = torch.randn(shape[0], 1, 1, generator=generator)
    return 3 * F.interpolate(waves, shape[1:], mode="bicubic", align_corners=False)[0] + 2 * offsets


def noise_scores(shape: tuple[int, int, int]) -> Float[Tensor, "N h w"]:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


KINDS: Mapping[str, Callable[[tuple[int, int, int]], Float[Tensor, "N h w"]]] = {
    "smooth": smooth_scores,
    "noise": noise_scores,
}


def _row(
    kind: str, num_classes: int, scores: Float[Tensor, "N h w"], size: tuple[int, int], repeats: int
) -> dict[str, Value]:
    ours = measure(partial(upsample_argmax, scores, size), repeats=repeats)
    naive = measure(partial(naive_argmax, scores, size), repeats=repeats)
    labels, naive_labels = upsample_argmax(scores, size).long(), naive_argmax(scores, size)
    return {
        "scores": kind,
        "classes": num_classes,
        "winning classes": len(naive_labels.unique()),
        "naive ms": naive.seconds * 1e3,
        "ours ms": ours.seconds * 1e3,
        "time ratio": naive.seconds / ours.seconds,
        "naive MiB": naive.peak_bytes / MEBIBYTE,
        "ours MiB": ours.peak_bytes / MEBIBYTE,
        "memory ratio": naive.peak_bytes / ours.peak_bytes if ours.peak_bytes else None,
        "pixels that differ": int((labels != naive_labels).sum()),
        "their largest gap": _largest_gap(scores, labels, naive_labels),
    }


def _largest_gap(
    scores: Float[Tensor, "N h w"], labels: Int[Tensor, "H W"], naive_labels: Int[Tensor, "H W"]
) -> float | None:
    """How far apart the naive way sees the two answers where they differ; float rounding, if both are right."""
    differ = labels != naive_labels
    if not differ.any():
        return None
    up = F.interpolate(scores[None], differ.shape, mode="bilinear", align_corners=False)[0][:, differ]
    chosen = up.gather(0, torch.stack([labels[differ], naive_labels[differ]]))
    return float((chosen[1] - chosen[0]).abs().max())
