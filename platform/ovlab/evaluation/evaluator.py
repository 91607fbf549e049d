"""Photographs in, counts out: every photograph through the network, every pixel into the counts.

Images come back as sparse counts (which pairs of true and predicted class, how often), whose sum does not depend on
their order, so that any number of processes gives the same scores to the bit. Small photographs go through the network
together; a logit depends on its companions in the last bits, so who they are follows from the data set and the protocol
alone: neighbours by `images_together`.

Axes: N classes asked for, P prompts, C joint CLIP width, H x W pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8, UInt16
from torch import Tensor, nn

from logoseg.answer import Answer
from logoseg.config import Activation, Inference, PaddedImage, SlidingWindow
from logoseg.ops.mask_classification import MaskClassification
from logoseg.views import views, window_offsets
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.methods.segmenter import require_logits
from ovlab.metrics.boundary import boundary_counts
from ovlab.metrics.counting import ClassCounts, SparseCounts, sparse_counts
from ovlab.metrics.evaluation_counts import ImageCounts, class_counts
from ovlab.metrics.regions import majority, regions_of
from ovlab.specs.evaluation import Protocol
from ovlab.specs.scores import Kind

# Photographs that are decoded ahead of the network.
_READ_AHEAD = 8
# Small photographs cost a network more in calls than in arithmetic: so many at most, and so many pixels of their views.
MAX_IMAGES_TOGETHER = 8
_PIXELS_TOGETHER = 8 * 96 * 96


class Question(NamedTuple):
    """What is asked of every image of a data set: `text` holds the features of the names asked for. The labels have
    `num_label_classes` classes: as many as names, unless the protocol collapses some of them into a background."""

    text: Float[Tensor, "N P C"]
    protocol: Protocol
    num_label_classes: int


def images_together(inference: Inference) -> int:
    """How many photographs are shown to the network at once, where their views are of one size: 1 of large views.

    Whoever divides the images of a shard does it at multiples of this, or their counts could differ in a pixel.
    """
    if isinstance(inference, SlidingWindow):
        num_views, side = len(window_offsets(inference)) ** 2 + inference.global_view, inference.input_size
    else:
        num_views, side = 1, inference.loader.size if isinstance(inference, PaddedImage) else inference.size
    return min(MAX_IMAGES_TOGETHER, max(1, _PIXELS_TOGETHER // (num_views * side**2)))


def evaluate(
    model: nn.Module, questions: Sequence[Question], datasets: Sequence[SegmentationDataset], *, device: torch.device
) -> Iterator[tuple[ImageCounts, ...]]:
    """One vocabulary or several in one pass: the counts of the i-th images of all `datasets`, each with its own
    question, at a time.

    `model` maps views (V 3 S S) and text to logits. All questions see an image through the same views. Where the
    photographs that go together are equal pixel for pixel, as those of PC-59 and PC-459 are, a model with encode_image
    and head encodes them once; the counts are those of each question alone to the bit. Raises InputError for a label
    out of range.
    """
    model = model.to(device).eval()
    parts = _parts(model)
    questions = [question._replace(text=question.text.to(device)) for question in questions]
    together = images_together(questions[0].protocol.inference)
    left = zip(*map(read_ahead, datasets), strict=True)
    while batch := list(islice(left, together)):
        encoded: list[np.ndarray] = []
        counted = []
        for question, samples in zip(questions, zip(*batch, strict=True), strict=True):
            images = [sample.image for sample in samples]
            if not encoded or not all(map(np.array_equal, images, encoded)):
                features, encoded = _encode(parts, images, question.protocol, device), images
            answers = _answers(parts, features, question.text, question.protocol)
            counted.append(
                [
                    ImageCounts(sample.id, _counts(answer, sample.label, question))
                    for sample, answer in zip(samples, answers, strict=True)
                ]
            )
        yield from zip(*counted, strict=True)


def predict_labels(
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    image: UInt8[np.ndarray, "H W 3"],
    protocol: Protocol,
    device: torch.device,
) -> UInt16[np.ndarray, "H W"]:
    """The class of every pixel of an RGB photograph, at its own resolution, as `evaluate` counts it but for the last
    bits of the logits, which a pixel of a thousand photographs may show."""
    parts = _parts(model.to(device).eval())
    (answer,) = _answers(parts, _encode(parts, [image], protocol, device), text.to(device), protocol)
    return _labels(answer, protocol, image.shape[:2])


def read_ahead(dataset: SegmentationDataset) -> Iterator[Sample]:
    """The samples in order, the next ones decoded in the background while the network works."""
    indices: Iterable[int] = iter(range(len(dataset)))
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(dataset.__getitem__, index) for index in islice(indices, _READ_AHEAD)]
        while waiting:
            sample = waiting.pop(0).result()
            waiting.extend(pool.submit(dataset.__getitem__, index) for index in islice(indices, 1))
            yield sample


class _Parts(NamedTuple):
    """What an evaluation calls of a Segmenter, and how its logits become scores."""

    encode: Callable[..., Any]
    head: Callable[..., Tensor | MaskClassification]
    activation: Activation


def _parts(model: Any) -> _Parts:
    """A model that is not made of two parts runs whole for every question."""
    if hasattr(model, "encode_image") and hasattr(model, "head"):
        return _Parts(model.encode_image, model.head, model.activation)
    return _Parts(lambda images: images, model, "sigmoid")


class _Encoded(NamedTuple):
    """The features of neighbours that went through the image encoder together, each in so many views."""

    features: Any
    num_images: int
    num_views: int


def _encode(parts: _Parts, images: Sequence[np.ndarray], protocol: Protocol, device: torch.device) -> list[_Encoded]:
    encoded = []
    with torch.inference_mode():
        pixels = [torch.tensor(image, device=device).permute(2, 0, 1).float().div_(255) for image in images]
        shown = [views(image, protocol.inference) for image in pixels]
        for _, neighbours in groupby(shown, key=lambda seen: seen.shape):
            alike = list(neighbours)
            step = max(1, _PIXELS_TOGETHER // alike[0][:, 0].numel())
            for first in range(0, len(alike), step):
                part = alike[first : first + step]
                encoded.append(_Encoded(parts.encode(torch.cat(part)), len(part), len(part[0])))
    return encoded


def _answers(parts: _Parts, encoded: Sequence[_Encoded], text: Tensor, protocol: Protocol) -> Iterator[Answer]:
    """That of one image after the other."""
    for features, num_images, num_views in encoded:
        with torch.inference_mode():
            scores = parts.head(features, text, class_cap=protocol.class_cap, **_rejection(protocol))
        if not isinstance(scores, MaskClassification):
            require_logits(scores, len(text))
        answer = Answer(scores, parts.activation)
        for number in range(num_images):
            yield answer.of_image(number, num_views)


def _labels(answer: Answer, protocol: Protocol, size: tuple[int, ...]) -> UInt16[np.ndarray, "H W"]:
    """The class of every pixel among those that are scored."""
    return _scored(_names(answer, protocol, size), protocol)


def _names(answer: Answer, protocol: Protocol, size: tuple[int, ...]) -> UInt16[np.ndarray, "H W"]:
    found = answer.winners(protocol.inference, (size[0], size[1])).labels
    return found.cpu().numpy().astype(np.uint16)  # the type in which pairs are counted fastest


def _scored(names: UInt16[np.ndarray, "*shape"], protocol: Protocol) -> UInt16[np.ndarray, "*shape"]:
    collapse = protocol.scoring.collapse
    return names if collapse is None else np.minimum(names, np.uint16(collapse.background))


def _counts(answer: Answer, label: Integer[np.ndarray, "H W"], question: Question) -> SparseCounts:
    """All that the protocol asks for of one image."""
    protocol, num_classes = question.protocol, question.num_label_classes
    prediction = _labels(answer, protocol, label.shape)
    counts = sparse_counts(prediction, label, num_classes)
    beside: dict[Kind, ClassCounts] = {}
    if (share := protocol.scoring.boundary) is not None:
        beside["boundary"] = boundary_counts(prediction, label, share)
    for kind, told in _oracle_predictions(answer, prediction, label, question).items():
        beside[kind] = class_counts(sparse_counts(told, label, num_classes))
    return counts._replace(beside=beside)


def _oracle_predictions(
    answer: Answer, prediction: UInt16[np.ndarray, "H W"], label: Integer[np.ndarray, "H W"], question: Question
) -> dict[Kind, UInt16[np.ndarray, "H W"]]:
    """What is predicted where an oracle tells the classes of the image, its regions, or both, as far as asked for."""
    protocol, told = question.protocol, dict[Kind, np.ndarray]()
    if "classes" in protocol.scoring.oracles:
        names = np.arange(len(question.text), dtype=np.uint16)
        among = names[np.isin(_scored(names, protocol), label)]
        told["classes_oracle"] = prediction
        if len(among):  # without a counted pixel an image has no class
            found = _names(answer.among(torch.from_numpy(among.astype(np.int64))), protocol, label.shape)
            told["classes_oracle"] = _scored(among[found], protocol)
    if "regions" in protocol.scoring.oracles:
        regions = regions_of(label)
        told["regions_oracle"] = majority(prediction, regions)
        if "classes_oracle" in told:
            told["both_oracles"] = majority(told["classes_oracle"], regions)
    return told


def _rejection(protocol: Protocol) -> dict[str, tuple[int, int]]:
    """The argument for it, where it is asked for: the heads of other methods have none."""
    return {} if protocol.early_rejection is None else {"early_rejection": protocol.early_rejection}
