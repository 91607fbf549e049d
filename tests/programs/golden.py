"""What the golden tests pin: weights, predictions, scores and identities, made from inputs that are written here.

Float sums differ a little from one kind of processor to the next. So a tensor is pinned twice: by a sketch, two numbers
that every machine must meet within a tolerance, and by its sha256, which holds on the machine kind of `environment`.

    sketch(w) = (<w, c>, |w|)    with c_k = cos(k), in float64

A change of w by a share e of its norm moves the first by about e |w|, whatever the size of w.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import shipped_clip
from logoseg.clip.text_encoder import cached_text
from logoseg.clip.towers import build_clip
from logoseg.config import ClipConfig, ModelConfig, SlidingWindow, WholeImage
from logoseg.dense_clip import DenseClip as DenseClipNetwork
from logoseg.network import LoGoSeg
from logoseg.ops.sliding_window import winners_from_windows_in_chunks
from logoseg.ops.upsample_argmax import upsample_max_in_chunks
from logoseg.presets import PRESETS
from logoseg.views import views
from ovlab.cli import main
from ovlab.evaluation.evaluator import predict_labels
from ovlab.metrics.counting import sparse_counts
from ovlab.metrics.crossed import crossed_difference
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.image_scores import image_scores
from ovlab.metrics.intervals import LEVEL, interval_about, within_0_and_1
from ovlab.metrics.multiple import holm
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import NUM_RESAMPLES, resample
from ovlab.metrics.seeds import summarise_seeds
from ovlab.metrics.summary import summary
from ovlab.runs.identity import resolve_evaluation, resolve_training
from ovlab.runs.subject import find_subject
from ovlab.shapes.dataset import open_shapes
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES
from ovlab.specs.evaluation import (
    PROTOCOLS,
    Collapse,
    DenseClip,
    EvaluationSpec,
    Protocol,
    Scoring,
    evaluation_fingerprint,
    protocol_hash,
    scoring_hash,
)
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.store.journal import read_curve
from ovlab.store.store import open_store

PINS = Path(__file__).parent.parent / "golden" / "pins.json"
CPU = torch.device("cpu")


def pins() -> dict[str, Any]:
    return json.loads(PINS.read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    """What the last bits of a float32 sum depend on."""
    return {
        "torch": torch.__version__,
        "numba": numba.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
    }


def require_environment(pinned: dict[str, str]) -> None:
    """Skip a test that compares bits where they were not made."""
    here = environment()
    other = [f"{name} {here[name]}, pinned on {pinned[name]}" for name in here if here[name] != pinned[name]]
    if other:
        pytest.skip(f"bits are compared on the machine kind of the pins only: {'; '.join(other)}")


def _processor() -> str:
    """Vendor, family and model: the libraries below torch choose their code by them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return " ".join(found.get(name, "unknown") for name in ("vendor_id", "cpu family", "model"))


@contextmanager
def one_thread() -> Iterator[None]:
    """The order of a sum depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sketch(*tensors: Tensor) -> list[float]:
    """See above, of the tensors one after the other."""
    values = torch.cat([tensor.detach().double().flatten() for tensor in tensors])
    projection = values @ torch.arange(len(values), dtype=torch.float64).cos()
    return [float(f"{number:.9g}") for number in (projection, values.norm())]


def sha256(*arrays: np.ndarray | Tensor) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


# Weights.

_ALL_PARTS = ("model.object_prior=true", "model.region_alignment=true", "model.cross_modal_fusion=true")
_SMALL = (*_ALL_PARTS, "model.clip.image_size=64", "augmentation.crop_size=64", "model.region_grid=2")
_SMALLER = (*_SMALL, "model.guidance_dim=16", "model.attention_heads=2", "model.state_dim=4", "model.fusion_depth=1")

# Three updates each: preset, and what is changed of it. Between them: both towers, both decoders, every learning of the
# tower, the prior fixed and learned, a training from CLIP and one from random weights, every part of the augmentation,
# the warm-up and the parts of a batch.
TRAININGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "vit, class volume": ("shapes-vit-s", (*_SMALLER, "model.decoder=class_volume")),
    "vit, pixel embedding": (
        "shapes-vit-s",
        (
            *_SMALL,
            "model.decoder=pixel_embedding",
            "model.prior_weight=adaptive",
            "model.prior_in_similarity=true",
            "schedule.num_microbatches=2",
            "schedule.loss_normalisation=pixels_and_classes",
            "schedule.warmup_steps=2",
            "schedule.clip_norm=null",
            "schedule.weight_decay=5",
        ),
    ),
    "convnext, class volume": ("shapes-convnext-s", (*_SMALLER, "model.decoder=class_volume")),
    "convnext, pixel embedding": (
        "shapes-convnext-s",
        (
            *_SMALLER,
            "model.decoder=pixel_embedding",
            "augmentation.scale_range=[0.5,1.5]",
            "augmentation.brightness=0.1",
            "augmentation.contrast=0.5",
            "augmentation.saturation=0.5",
            "augmentation.hue=0.1",
        ),
    ),
    "from random weights": ("tiny", _SMALLER),
}


class Trained(NamedTuple):
    """The losses of the updates, and the final weights by name."""

    losses: list[float]
    weights: dict[str, Tensor]

    def sketches(self) -> dict[str, list[float]]:
        """By part of the network: its tensors in the order of their names."""
        parts: dict[str, list[Tensor]] = {}
        for name in sorted(self.weights):
            parts.setdefault(".".join(name.split(".")[:2]), []).append(self.weights[name])
        return {part: sketch(*tensors) for part, tensors in parts.items()}

    def digest(self) -> str:
        return sha256(*(self.weights[name] for name in sorted(self.weights)))


def trained(name: str) -> Trained:
    """Train as a person does, by `ovlab train`, in one thread."""
    preset, changes = TRAININGS[name]
    with tempfile.TemporaryDirectory() as folder, one_thread(), _cache_in(folder):
        run = Path(folder) / "run"
        command = ["train", "--data", "shapes-pc-59", "--preset", preset, "--steps", "3", "--batch-size", "2"]
        command += ["--device", "cpu", "--out", str(run), *(f"--set={change}" for change in changes)]
        if main(command) != 0:
            raise RuntimeError(f"{name}: ovlab {' '.join(command)} has failed.")
        store = open_store(str(run))
        (training,) = store.trainings()
        losses = [step.loss for step in read_curve(store, training.fingerprint)]
        return Trained(losses, load_file(run / "weights.safetensors"))


@contextmanager
def _cache_in(folder: str) -> Iterator[None]:
    before = os.environ.get("OVLAB_CACHE")
    os.environ["OVLAB_CACHE"] = f"{folder}/cache"
    try:
        yield
    finally:
        del os.environ["OVLAB_CACHE"]
        if before is not None:
            os.environ["OVLAB_CACHE"] = before


# Predictions.

WORDS = ("red circle", "grass", "blue square", "water", "sand", "green star", "brick", "yellow ring")
TEMPLATES = ("A photo of a {} in the scene", "a {}.")
_WINDOWS = SlidingWindow(size=112, kernel=64, stride=48, input_size=64)
_ASPECT_KEPT = Protocol(inference=WholeImage(size=64, resize="keep_aspect"), prompt_templates=TEMPLATES)
VIEWS = {
    "whole, aspect kept": _ASPECT_KEPT,
    "whole, aspect kept, two names a class": replace(_ASPECT_KEPT, synonyms="average"),
    "whole, square": Protocol(inference=WholeImage(size=64), prompt_templates=TEMPLATES),
    "windows": Protocol(inference=_WINDOWS, prompt_templates=TEMPLATES),
    "windows alone": Protocol(inference=replace(_WINDOWS, global_view=False), prompt_templates=TEMPLATES),
    "windows, five classes each": Protocol(inference=_WINDOWS, prompt_templates=TEMPLATES, class_cap=5),
}
GRID_STEP = 6
_MEMORY_LIMIT = 100_000  # a few classes at a time


class Prediction(NamedTuple):
    """Logits (V N h w), and the label maps (H W) of the two paths: compiled for CPUs, and in plain torch."""

    logits: Tensor
    compiled: np.ndarray
    plain: np.ndarray


def picture() -> np.ndarray:
    """96 x 132 pixels, uint8: a checkerboard of coloured tiles with a fine pattern, of whole numbers alone."""
    y, x = np.mgrid[:96, :132]
    tile = y // 24 * 7 + x // 33 * 3
    channels = [(tile * factor + (y * x + y * step) % 29) % 256 for factor, step in ((83, 1), (37, 3), (151, 5))]
    return np.stack(channels, axis=-1).astype(np.uint8)


def networks() -> dict[str, nn.Module]:
    """Every tower with every decoder, on the CLIP that comes with it and with the first weights of seed 0 behind it;
    the towers alone; and, of one of them, the other forms of the head. A ViT with a convolution stem, a ConvNeXt, and
    a ViT with CLIP's patches, as OpenAI's files hold it."""
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        openai = _small_openai_vit(Path(folder))
        towers = {
            **{name: (PRESETS[name](), shipped_clip(PRESETS[name]().clip)) for name in _SHIPPED_TOWERS},
            "openai-vit": (ModelConfig(clip=openai.config, region_grid=2, stripe_width=2), openai.file),
        }
        found: dict[str, nn.Module] = {}
        for tower, (config, file) in towers.items():
            config = replace(config, prompt_templates=TEMPLATES, guidance_dim=32)
            for decoder in ("class_volume", "pixel_embedding"):
                found[f"{tower}, {decoder}"] = _first_weights(replace(config, decoder=decoder), file)
            found[f"clip:{tower}"] = DenseClipNetwork(config, load_clip(config.clip, file)).eval()
        for head, changes in _OTHER_HEADS.items():
            found[f"{tower}, {head}"] = _first_weights(replace(config, **changes), file)
        return found


_SHIPPED_TOWERS = ("shapes-vit-s", "shapes-convnext-s")
_OTHER_HEADS: dict[str, dict[str, Any]] = {
    "learned prior in the similarity": {"prior_weight": "adaptive", "prior_in_similarity": True},
    "no part": {"object_prior": False, "region_alignment": False, "cross_modal_fusion": False},
    "plain fusion": {"directional_attention": False, "global_context": False, "language_queries": False},
}


def _first_weights(config: ModelConfig, clip_file: Path) -> LoGoSeg:
    torch.manual_seed(0)
    return LoGoSeg(config, load_clip(config.clip, clip_file)).eval()


class _OpenAIVit(NamedTuple):
    config: ClipConfig
    file: Path


def _small_openai_vit(folder: Path) -> _OpenAIVit:
    """A small ViT in a file as OpenAI's are: half precision, numbers among the weights, made for another size."""
    open_clip.add_model_config(Path(__file__).parent / "small-openai-vit.json")
    # What open_clip knows of OpenAI's weights holds for it, too.
    open_clip.pretrained._PRETRAINED["small-openai-vit"] = {
        "openai": open_clip.get_pretrained_cfg("ViT-B-16", "openai")
    }
    config = ClipConfig(
        name="small-openai-vit", pretrained="openai", image_size=64, middle_layer=1, guidance_layers=(0, 1)
    )
    torch.manual_seed(0)
    state = {name: tensor.half() for name, tensor in build_clip(replace(config, image_size=32)).state_dict().items()}
    numbers = {"input_resolution": 32, "context_length": 16, "vocab_size": 49408}
    torch.save(state | {name: torch.tensor(value) for name, value in numbers.items()}, folder / "openai.pt")
    return _OpenAIVit(config, folder / "openai.pt")


def prediction(network: nn.Module, protocol: Protocol) -> Prediction:
    """What `network` says of `picture()` when it is asked for WORDS."""
    image, inference = picture(), protocol.inference
    with one_thread(), torch.inference_mode():
        names = [(word, word.split()[-1]) if protocol.synonyms == "average" else (word,) for word in WORDS]
        text = network.text_encoder(names, TEMPLATES)
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        logits = network(views(pixels, inference), text, class_cap=protocol.class_cap)
        size = image.shape[:2]
        if isinstance(inference, SlidingWindow):
            plain = winners_from_windows_in_chunks(logits, inference, size, memory_limit_bytes=_MEMORY_LIMIT)
        else:
            plain = upsample_max_in_chunks(logits[0].sigmoid(), size, memory_limit_bytes=_MEMORY_LIMIT)
        compiled = predict_labels(network, text, image, protocol, CPU)
    return Prediction(logits, compiled.astype(np.int32), plain.labels.numpy().astype(np.int32))


def label_rows(labels: np.ndarray) -> list[str]:
    """Every sixth pixel of every sixth row, a digit a pixel."""
    return ["".join(map(str, row)) for row in labels[::GRID_STEP, ::GRID_STEP].tolist()]


# Scores.

NAMES = ("sky", "road", "car", "tree", "boat", "lamp", "bird")
SEEN = np.array([True, False, True, True, False, True, False])
IGNORED = 65535


def label_maps(shift: int, num_images: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    """(label, prediction) of some 8 x 9 images, of whole numbers alone. Boat is predicted and nowhere to be found, bird
    is in neither map, lamp is in one image; some pixels are ignored."""
    y, x = np.mgrid[:8, :9]
    pairs = []
    for image in range(num_images):
        label = (y // 3 + x // 4 + image) % 4
        label[:2, :2] = 5 if image == 3 else label[0, 0]
        prediction = np.where((y * 5 + x * 3 + image * 7 + shift) % 6 < 2, (label + 1 + image % 2) % 5, label)
        label[7, image % 9] = IGNORED
        pairs.append((label.astype(np.uint16), prediction.astype(np.uint16)))
    return pairs


def pair_counts(maps: Iterable[tuple[np.ndarray, np.ndarray]], num_classes: int = len(NAMES)) -> np.ndarray:
    """Pixels of each (image, label, prediction), counted one by one."""
    maps = list(maps)
    counts = np.zeros((len(maps), num_classes, num_classes), np.int64)
    for image, (label, predicted) in enumerate(maps):
        for true, found in zip(label.flat, predicted.flat, strict=True):
            if true != IGNORED:
                counts[image, true, found] += 1
    return counts


def per_image(counts: np.ndarray) -> PerImageCounts:
    return PerImageCounts(
        ids=tuple(f"image {index}" for index in range(len(counts))),
        hits=np.diagonal(counts, axis1=1, axis2=2).copy(),
        gt=counts.sum(axis=2),
        pred=counts.sum(axis=1),
    )


def scores() -> dict[str, Any]:
    """Every number that the metrics give of two fixed runs and of the scores of some seeds."""
    first, second = label_maps(0), label_maps(2)
    counts, others = per_image(pair_counts(first)), per_image(pair_counts(second))
    sampled = resample(counts, SEEN, num_resamples=300, seed=4)
    return {
        "summary": summary(
            sum_counts([sparse_counts(predicted, label, len(NAMES)) for label, predicted in first], len(NAMES)),
            NAMES,
            SEEN,
        ),
        "resampled": {name: _first_and_moments(values) for name, values in sampled.scores.items()},
        "absent": sampled.num_absent[:20].tolist(),
        "intervals": _intervals(counts, SEEN),
        "intervals without seen": _intervals(counts, num_resamples=100, seed=1, level=0.9),
        "difference": {name: crossed(name, counts, others) for name in sampled.full},
        "images": image_scores(counts).tolist(),
        "seeds": asdict(summarise_seeds({0: 0.31, 1: 0.35, 2: 0.33, 5: 0.3})),
        "holm": list(holm([0.04, 0.01, 0.6, 0.02])),
    }


def crossed(name: str, counts: PerImageCounts, others: PerImageCounts) -> dict[str, Any]:
    """What the one test says of three runs against two."""
    sides = {0: counts, 1: others, 2: counts}, {0: others, 1: counts}
    found = crossed_difference(*sides, name, seen=SEEN)
    return {
        "difference": found.difference,
        "interval": found.interval,
        "p_value": found.p_value,
        "seed_share": found.seed_share,
    }


def _intervals(
    counts: PerImageCounts,
    seen: np.ndarray | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Any]:
    sampled = resample(counts, seen, num_resamples=num_resamples, seed=seed)
    return {
        "scores": {
            name: {"value": value, "interval": within_0_and_1(interval_about(value, sampled.scores[name], level))}
            for name, value in sampled.full.items()
        },
        "mean_absent": sampled.mean_absent,
        "num_images": counts.num_images,
        "num_resamples": num_resamples,
        "level": level,
    }


def _first_and_moments(values: np.ndarray) -> list[float | None]:
    found = [*values[:5].tolist(), float(np.nanmean(values)), float(np.nanstd(values))]
    return [None if math.isnan(value) else value for value in found]


# Identities.


def identities() -> dict[str, dict[str, str]]:
    """Digests and fingerprints by what they are of. Nothing is computed for them but text of a few words."""
    return {
        "trainings": dict(_trainings()),
        "evaluations": dict(_evaluations()),
        "protocols": {name: protocol_hash(protocol) for name, protocol in _protocols().items()},
        "scorings": {name: scoring_hash(protocol) for name, protocol in _protocols().items()},
        "subjects": dict(_subjects()),
        "shapes": dict(_shapes()),
        "text cache": _text_cache(),
    }


def _trainings() -> Iterator[tuple[str, str]]:
    """Every backbone on every training set of both suites, as the tables train it, on data that are not looked at."""
    for suite in (PAPER, SHAPES):
        for backbone in suite.backbones:
            for training_set in suite.training_sets:
                spec = suite.training(backbone, training_set, seed=7)
                for what, weights in (("", "b" * 64), (", random weights", None)):
                    resolved = ResolvedTraining(spec=spec, data_digest="a" * 64, weights_digest=weights)
                    yield f"{suite.name}, {backbone}, {training_set}{what}", training_fingerprint(resolved)
    for preset, make in PRESETS.items():
        spec = replace(SHAPES.training(), model=make())
        resolved = ResolvedTraining(spec=spec, data_digest="a" * 64, weights_digest=None)
        yield f"preset {preset}", training_fingerprint(resolved)


def _protocols() -> dict[str, Protocol]:
    found = {name: make() for name, make in PROTOCOLS.items()}
    found |= {f"{name} at 96": PROTOCOLS[name](96) for name in ("sliding-window", "whole")}
    for suite in (PAPER, SHAPES):
        found |= {f"{suite.name}, {backbone}": suite.protocol(backbone) for backbone in suite.backbones}
    whole = found["whole"]
    found["whole, collapsed"] = replace(whole, scoring=Scoring(collapse=Collapse(background=20)))
    found["whole, average of synonyms"] = replace(whole, synonyms="average")
    found["whole, legacy"] = replace(whole, scoring=Scoring(headline="ground_truth_or_prediction"))
    return found


def _evaluations() -> Iterator[tuple[str, str]]:
    for name, protocol in _protocols().items():
        for num_images in (None, 6):
            spec = EvaluationSpec(
                subject="c" * 64,
                benchmark="pc-59",
                split="val",
                data_digest="a" * 64,
                vocabulary_digest="d" * 64,
                protocol=protocol,
                num_images=num_images,
            )
            yield name if num_images is None else f"{name}, {num_images} images", evaluation_fingerprint(spec)


def _subjects() -> Iterator[tuple[str, str]]:
    for preset, make in PRESETS.items():
        config = make()
        alone = DenseClip(clip=config.clip, weights_digest="b" * 64, prompt_templates=config.prompt_templates)
        yield f"clip:{preset}", fingerprint(alone)


def _shapes() -> Iterator[tuple[str, str]]:
    """What the miniature really is: its data, its words, and the CLIP weights that come with it."""
    for preset in ("shapes-vit-s", "shapes-vit-l", "shapes-convnext-s", "shapes-convnext-l"):
        spec = replace(SHAPES.training(), model=PRESETS[preset]())
        resolved = resolve_training(spec, open_shapes("shapes-coco", "train"), shipped_clip(spec.model.clip))
        yield f"{preset} on shapes-coco", training_fingerprint(resolved)
    for name in SHAPES_NAMES:
        dataset = open_shapes(name, "val")
        spec = resolve_evaluation("c" * 64, dataset, "val", SHAPES.protocol())
        yield f"{name}, val", evaluation_fingerprint(spec)


def _text_cache() -> dict[str, str]:
    """The name of the file in which the text of some names is kept."""
    encoder = find_subject("clip:shapes-vit-s").open_model().text_encoder
    return {
        "one name a class": _cached_name(encoder, [("red circle",), ("grass",)], TEMPLATES),
        "synonyms": _cached_name(encoder, [("red circle", "red ring"), ("grass",)], TEMPLATES[:1]),
    }


def _cached_name(encoder: Any, names: Sequence[Sequence[str]], templates: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        cached_text(encoder, names, templates, Path(folder))
        (file,) = Path(folder).iterdir()
        return file.name
