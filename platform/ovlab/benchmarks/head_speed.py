"""What comes after the CLIP encoders, as a share of the ViT-B/16 image encoder at 384 px: time, FLOPs and memory.

Both decoders are measured alone, on the inputs they get inside the network, and with the whole head (prior, alignment,
fusion, decoder). Weights are random: they change neither cost nor memory. The class volume decodes at most
`--class-cap` classes an image, as in the evaluation protocol.

FLOPs are those of matrix products and convolutions, two for each multiply-add; the selective scan and everything that
works element by element are not in them, but are in the seconds.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from logoseg.clip.towers import build_clip
from logoseg.config import ModelConfig
from logoseg.image_features import ImageFeatures
from logoseg.network import LoGoSeg
from logoseg.presets import vit_b16
from ovlab.benchmarks.measure import Measurement, measure
from ovlab.benchmarks.outcome import Report, Value

VOLUME = replace(vit_b16(), decoder="class_volume", decoder_dims=(64, 32))
# The stages of this decoder run once per image, so wider ones cost little.
EMBEDDING = replace(vit_b16(), decoder="pixel_embedding", decoder_dims=(128, 64))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-classes",
        type=int,
        nargs="+",
        default=[20, 59, 150, 256, 847],
        help="sizes of the vocabulary (default 20 59 150 256 847)",
    )
    parser.add_argument(
        "--class-cap", type=int, default=256, help="classes an image that the class volume decodes (default 256)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, of which the median counts (default 5)")


def run(arguments: argparse.Namespace) -> Report:
    """Five rows a vocabulary: the encoder, and each decoder alone and within the whole head."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    image = torch.rand(1, 3, VOLUME.clip.image_size, VOLUME.clip.image_size)
    # open_clip's own tower takes images of the size of its positional grid alone.
    encode = partial(build_clip(replace(VOLUME.clip, pretrained=None)).get_submodule("visual").eval(), image)
    networks = {config: LoGoSeg(config).eval() for config in (VOLUME, EMBEDDING)}
    rows: list[dict[str, Value]] = []
    with torch.inference_mode():
        features = {config: network.encode_image(image) for config, network in networks.items()}
        encoder_flops = count_flops(encode)
        for num_classes in arguments.num_classes:
            # Measured again for every vocabulary, so that a ratio compares neighbours in time.
            encoder = measure(encode, repeats=arguments.repeats)
            rows.append(_row("image encoder", num_classes, encoder, encoder_flops, encoder, encoder_flops))
            for config, network in networks.items():
                cap = {VOLUME: arguments.class_cap, EMBEDDING: None}[config]
                head = head_call(network, features[config], num_classes, cap)
                for part, call in ((f"{config.decoder} alone", decoder_call(network, head)), (_title(config), head)):
                    figures = measure(call, repeats=arguments.repeats)
                    rows.append(_row(part, num_classes, figures, count_flops(call), encoder, encoder_flops))
    context: dict[str, Value] = {"batch": 1, "encoder": VOLUME.clip.name, "image": VOLUME.clip.image_size}
    context |= {config.decoder + " dims": "x".join(map(str, config.decoder_dims)) for config in networks}
    context |= {"class_cap": arguments.class_cap, "threads": arguments.threads, "torch": torch.__version__}
    return Report(
        name="head", title="Head against the ViT-B/16 image encoder, inference, float32", rows=rows, context=context
    )


def _title(config: ModelConfig) -> str:
    return f"whole head, {config.decoder}"


def head_call(
    network: LoGoSeg, features: ImageFeatures, num_classes: int, class_cap: int | None
) -> Callable[[], Tensor]:
    """Everything after the encoders, for a vocabulary of random unit vectors."""
    shape = (num_classes, len(network.config.prompt_templates), features.dense.shape[1])
    text = nn.functional.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(0)), dim=-1)
    return partial(network.head, features, text, class_cap=class_cap)


def decoder_call(network: LoGoSeg, head: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The decoder alone, on what it is given inside `head`."""
    given: list[tuple[Tensor, ...]] = []
    hook = network.decoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    head()
    hook.remove()
    return partial(network.decoder, *given[0])


def count_flops(call: Callable[[], object]) -> int:
    """FLOPs of the matrix products and convolutions in `call`."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not know this operator, nor fused attention
    try:
        with (
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _baddbmm_flops}) as counter,
        ):
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    return counter.get_total_flops()


def _baddbmm_flops(_: Sequence[int], left: Sequence[int], right: Sequence[int], **__: object) -> int:
    """From the shapes; torch knows this product only when it is not in place."""
    return 2 * math.prod(left) * right[-1]


def _row(
    part: str, num_classes: int, figures: Measurement, flops: int, encoder: Measurement, encoder_flops: int
) -> dict[str, Value]:
    return {
        "part": part,
        "N": num_classes,
        "s": figures.seconds,
        "x encoder (s)": figures.seconds / encoder.seconds,
        "GFLOP": flops / 1e9,
        "x encoder (FLOP)": flops / encoder_flops,
        "peak MB": figures.peak_bytes / 1e6,
        "x encoder (peak)": figures.peak_bytes / encoder.peak_bytes,
    }
