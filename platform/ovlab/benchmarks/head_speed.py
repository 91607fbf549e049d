"""What comes after the CLIP encoders: CPU time and memory of our heads and of the field's, on the inputs each gets from
its own image encoder, for one image and vocabularies of random unit vectors.

Ours: both decoders alone, and the whole head (prior, alignment, fusion, decoder) with each, the class volume with early
rejection too; the class volume decodes at most `--class-cap` classes an image, as in the evaluation protocol. CAT-Seg
as it is evaluated (no pooling before its attention over classes), SED with and without its early rejection (8 classes a
position), SAN from its side adapter to the end, with CLIP's last blocks that its queries go through; these up to
vocabularies of `--class-cap`. ViT-B/16 at 384 px; SED on ConvNeXt-B at 768, SAN at 640. Weights are random: they change
neither cost nor memory, but for SED's rejection, which keeps as many classes as its guesses let pass.

Seconds are processor time, and no call is repeated after five of them. FLOPs are those of matrix products and
convolutions of our heads, two for each multiply-add; the selective scan and everything that works element by element
are not in them, but are in the seconds.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from logoseg.clip.towers import build_clip
from logoseg.network import LoGoSeg
from logoseg.presets import vit_b16
from ovlab.benchmarks.measure import Measurement, measure_cpu
from ovlab.benchmarks.outcome import Report, Value
from rivals.cat_seg import CatSeg
from rivals.configurations import cat_seg_vit_b16, san_vit_b16, sed_convnext_b
from rivals.san import San, SanFeatures
from rivals.sed import Sed

VOLUME = replace(vit_b16(), decoder="class_volume", decoder_dims=(64, 32), auxiliary_heads=True)
# The stages of this decoder run once per image, so wider ones cost little.
EMBEDDING = replace(vit_b16(), decoder="pixel_embedding", decoder_dims=(128, 64))
# Classes that go on from the two coarse maps.
REJECTION = (48, 24)
# Published with SED's command: so many classes of a position go on.
SED_REJECTION = 8


class Head(NamedTuple):
    """What is measured: `call` for a vocabulary of `text`, up to `largest` classes. ours: whether FLOPs are counted."""

    title: str
    call: Callable[[Tensor], Callable[[], object]]
    joint_dim: int
    num_prompts: int
    largest: float = math.inf
    ours: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-classes",
        type=int,
        nargs="+",
        default=[20, 150, 256, 847],
        help="sizes of the vocabulary (default 20 150 256 847)",
    )
    parser.add_argument(
        "--class-cap",
        type=int,
        default=256,
        help="classes an image that the class volume decodes, and the largest vocabulary of a rival (default 256)",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls, of which the median counts (default 5)")


def run(arguments: argparse.Namespace) -> Report:
    """A row for each head and vocabulary, told on standard error as it comes; first the encoder."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    image = torch.rand(1, 3, VOLUME.clip.image_size, VOLUME.clip.image_size)
    # open_clip's own tower takes images of the size of its positional grid alone.
    encode = partial(build_clip(replace(VOLUME.clip, pretrained=None)).get_submodule("visual").eval(), image)
    rows: list[dict[str, Value]] = []

    def tell(row: dict[str, Value]) -> None:
        rows.append(row)
        print(
            f"head: N = {row['N']}, {row['part']}: {row['CPU s']:.3g} s, {row['peak MB']:.3g} MB",
            file=sys.stderr,
            flush=True,
        )

    with torch.inference_mode():
        heads = [*_ours(image, arguments.class_cap), *_rivals(image, arguments.class_cap)]
        for num_classes in arguments.num_classes:
            # Measured again for every vocabulary, so that a ratio compares neighbours in time.
            encoder = measure_cpu(encode, repeats=arguments.repeats)
            tell(_row("image encoder", num_classes, encoder, encoder, count_flops(encode)))
            for head in heads:
                if num_classes <= head.largest:
                    call = head.call(random_text(num_classes, head.num_prompts, head.joint_dim))
                    flops = count_flops(call) if head.ours else None
                    figures = measure_cpu(call, repeats=arguments.repeats)
                    tell(_row(head.title, num_classes, figures, encoder, flops))
    context: dict[str, Value] = {"batch": 1, "encoder": VOLUME.clip.name, "image": VOLUME.clip.image_size}
    context |= {config.decoder + " dims": "x".join(map(str, config.decoder_dims)) for config in (VOLUME, EMBEDDING)}
    context |= {"early rejection": "x".join(map(str, REJECTION)), "class_cap": arguments.class_cap}
    context |= {"threads": arguments.threads, "torch": torch.__version__}
    return Report(name="head", title="Heads, inference of one image, float32", rows=rows, context=context)


def _ours(image: Tensor, class_cap: int) -> Iterator[Head]:
    for config, cap in ((VOLUME, class_cap), (EMBEDDING, None)):
        network = LoGoSeg(config).eval()
        features = network.encode_image(image)
        sizes: dict[str, Any] = {
            "joint_dim": features.dense.shape[1],
            "num_prompts": len(network.prompt_templates),
            "ours": True,
        }
        whole = partial(head_call, network, features, class_cap=cap)
        yield Head(f"{config.decoder} alone", partial(_decoder_alone, network, whole), **sizes)
        yield Head(f"whole head, {config.decoder}", whole, **sizes)
        if config.auxiliary_heads:
            rejecting = partial(whole, early_rejection=REJECTION)
            yield Head(f"whole head, {config.decoder} with early rejection", rejecting, **sizes)


def _decoder_alone(
    network: LoGoSeg, whole: Callable[[Tensor], Callable[[], Tensor]], text: Tensor
) -> Callable[[], Tensor]:
    return decoder_call(network, whole(text))


def _rivals(image: Tensor, class_cap: int) -> Iterator[Head]:
    sed = sed_convnext_b()
    for title, network in (
        ("CAT-Seg", CatSeg(cat_seg_vit_b16())),
        ("SED", Sed(sed)),
        ("SED with early rejection", Sed(replace(sed, early_rejection=SED_REJECTION))),
    ):
        features = network.eval().encode_image(_at(image, network.input_size))
        call = partial(head_call, network, features, class_cap=None)
        yield Head(title, call, features.dense.shape[1], len(network.prompt_templates), class_cap)
    san = San(san_vit_b16()).eval()
    encoder, pixels = san.image_encoder, san.image_encoder.normalise(_at(image, san.input_size))
    clip = encoder(_at(pixels, san.config.clip.image_size))

    def from_side_adapter(text: Tensor) -> Callable[[], object]:
        def call() -> object:
            last = san.adapter(pixels, clip)[-1]
            return san.head(SanFeatures(last.masks, encoder.recognise(clip, last.bias)), text)

        return call

    yield Head("SAN", from_side_adapter, encoder.joint_dim, len(san.prompt_templates), class_cap)


def _at(image: Tensor, side: int) -> Tensor:
    return F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)


def random_text(num_classes: int, num_prompts: int, joint_dim: int) -> Tensor:
    """Unit vectors, num_classes x num_prompts x joint_dim."""
    shape = (num_classes, num_prompts, joint_dim)
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(0)), dim=-1)


def head_call(
    network: Any, features: Any, text: Tensor, *, class_cap: int | None, **options: object
) -> Callable[[], Tensor]:
    """Everything after the encoders."""
    return partial(network.head, features, text, class_cap=class_cap, **options)


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
    part: str, num_classes: int, figures: Measurement, encoder: Measurement, flops: int | None
) -> dict[str, Value]:
    return {
        "part": part,
        "N": num_classes,
        "CPU s": figures.seconds,
        "x encoder (CPU s)": figures.seconds / encoder.seconds,
        "peak MB": figures.peak_bytes / 1e6,
        "x encoder (peak)": figures.peak_bytes / encoder.peak_bytes,
        "GFLOP": None if flops is None else flops / 1e9,
    }
