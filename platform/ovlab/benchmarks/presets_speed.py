"""Size, time and memory of every preset: one forward pass at its real resolution, random weights, whole network."""

import argparse

import torch

from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from ovlab.benchmarks.measure import measure
from ovlab.benchmarks.outcome import Report, Value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--presets", nargs="+", choices=sorted(PRESETS), default=list(PRESETS), help="default: all")
    parser.add_argument("--num-classes", type=int, default=59, help="size of the vocabulary (default: 59)")
    parser.add_argument("--repeats", type=int, default=1, help="timed forward passes, the median counts (default: 1)")


def run(arguments: argparse.Namespace) -> Report:
    return Report(
        name="presets",
        title="One forward pass at batch 1, random weights",
        rows=[_row(name, arguments.num_classes, arguments.repeats) for name in arguments.presets],
        context={"classes": arguments.num_classes, "threads": torch.get_num_threads(), "device": "cpu"},
    )


def _row(name: str, num_classes: int, repeats: int) -> dict[str, Value]:
    torch.manual_seed(0)
    config = PRESETS[name]()
    model = LoGoSeg(config).eval()
    side = config.clip.image_size
    images = torch.rand(1, 3, side, side)
    text = model.encode_text([f"thing {n}" for n in range(num_classes)])
    with torch.inference_mode():
        forward = measure(lambda: model(images, text), repeats=repeats, warmups=0)
    return {
        "preset": name,
        "decoder": config.decoder,
        "pixels": side,
        "image encoder M": _millions(model.image_encoder),
        "text encoder M": _millions(model.text_encoder),
        "head M": _millions(model) - _millions(model.image_encoder) - _millions(model.text_encoder),
        "forward s": forward.seconds,
        "peak MB": forward.peak_bytes / 1e6,
    }


def _millions(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6
