"""Evaluation in one process: every photograph through the network, every pixel into the counts.

Images come back as sparse counts (which pairs of true and predicted class, how often), whose sum does not depend on
their order, so that any number of processes gives the same figures to the bit.

Axes: N classes asked for, P prompts, C joint CLIP width, H x W pixels.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from logoseg.inference import segment
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.metrics.counting import collapse, sparse_counts
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.progress import Progress, Silent
from ovlab.specs.evaluation import Protocol

# Photographs that are decoded ahead of the network.
_READ_AHEAD = 4


def evaluate(
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    dataset: SegmentationDataset,
    protocol: Protocol,
    *,
    num_label_classes: int,
    device: torch.device,
    progress: Progress | None = None,
) -> Iterator[ImageCounts]:
    """The counts of every image of `dataset`, in its order.

    `model` maps views (V 3 S S) and `text`, the features of the names asked for, to logits. The labels have
    `num_label_classes` classes: as many as names, unless the protocol collapses some of them into a background.
    Raises InputError for a label out of range.
    """
    progress = Silent() if progress is None else progress
    model, text = model.to(device).eval(), text.to(device)
    lookup = collapse_lookup(len(text), protocol)
    for done, sample in enumerate(read_ahead(dataset), start=1):
        prediction = predict_labels(model, text, sample.image, protocol, device)
        if lookup is not None:
            prediction = collapse(prediction, lookup)
        yield ImageCounts(sample.id, sparse_counts(prediction, sample.label, num_label_classes))
        progress.update(done)


def predict_labels(
    model: nn.Module, text: Float[Tensor, "N P C"], image: np.ndarray, protocol: Protocol, device: torch.device
) -> np.ndarray:
    """The class index of every pixel of an RGB photograph (uint8, H x W x 3), at its own resolution."""
    pixels = torch.tensor(image, device=device).permute(2, 0, 1).float().div_(255)

    def logits_of(views: Float[Tensor, "V 3 S1 S2"]) -> Float[Tensor, "V N h w"]:
        return model(views, text, class_cap=protocol.class_cap)

    with torch.inference_mode():
        labels = segment(logits_of, pixels, protocol.inference)
    return labels.cpu().numpy().astype(np.uint16)  # the type in which pairs are counted fastest


def collapse_lookup(num_names: int, protocol: Protocol) -> Int64[np.ndarray, "N"] | None:
    """Where every name asked for goes in the labels (PAS-20b), or None when they are the same."""
    if protocol.scoring.collapse is None:
        return None
    return np.minimum(np.arange(num_names), protocol.scoring.collapse.background)


def read_ahead(dataset: SegmentationDataset) -> Iterator[Sample]:
    """The samples in order, the next ones decoded in the background while the network works."""
    indices: Iterable[int] = iter(range(len(dataset)))
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(dataset.__getitem__, index) for index in islice(indices, _READ_AHEAD)]
        while waiting:
            sample = waiting.pop(0).result()
            waiting.extend(pool.submit(dataset.__getitem__, index) for index in islice(indices, 1))
            yield sample
