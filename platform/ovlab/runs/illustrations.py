"""Pictures of a finished evaluation for its report: the first images of the benchmark, the worst and the best ones.

The first are the same for every run, so that runs can be looked at side by side.
"""

import io
import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import nn

from logoseg.class_colours import class_colours
from logoseg.overlay import painted
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.evaluation.drawing import difference
from ovlab.evaluation.evaluator import predict_labels
from ovlab.metrics.image_scores import best_and_worst, image_scores
from ovlab.runs.context import RunContext
from ovlab.runs.device import is_here, named_device
from ovlab.runs.work import EvaluationJob
from ovlab.store.pairs import stored_tables
from ovlab.store.pictures import (
    Choice,
    Picture,
    PictureClass,
    Pictures,
    pictures_of,
    put_picture,
    put_pictures,
    read_pictures,
)
from ovlab.store.record import DamagedError, EvaluationRecord
from ovlab.store.store import Store

_log = logging.getLogger(__name__)

NUM_FIRST = 4
NUM_EXTREMES = 3
# Longest side in pixels; a larger photograph is made smaller.
LONGEST_SIDE = 512


def keep_pictures(
    record: EvaluationRecord,
    job: EvaluationJob,
    context: RunContext,
    open_model: Callable[[], nn.Module],
    *,
    num_first: int = NUM_FIRST,
    num_extremes: int = NUM_EXTREMES,
) -> Pictures:
    """The pictures of `record`, drawn in this process unless the store has them all, sound. `job` is what it is the
    record of, `open_model` its subject, which is not called for pictures that are there. Raises DamagedError where its
    counts cannot be read."""
    store = context.store
    try:
        there = pictures_of(store, record.fingerprint)
    except DamagedError as error:
        _log.warning("%s They are drawn again.", error)
        there = None
    if there is not None and len(read_pictures(store, record.fingerprint, list(there.files))) == len(there.files):
        return there
    # The GPUs of a cluster have counted; this machine may have none.
    device = named_device(context.device)
    device = device if is_here(device) else torch.device("cpu")
    model = open_model().to(device).eval()
    question = job.question(model)
    drawn = []
    for index, chosen, miou in _choose(record, job, store, num_first, num_extremes):
        sample = job.images[index]
        prediction = predict_labels(model, question.text, sample.image, question.protocol, device)
        drawn.append(_draw(sample, prediction, job.labels.scored, chosen, miou, record.fingerprint, store))
    pictures = Pictures(pictures=tuple(drawn))
    put_pictures(store, record.fingerprint, pictures)
    return pictures


def _choose(
    record: EvaluationRecord, job: EvaluationJob, store: Store, num_first: int, num_extremes: int
) -> list[tuple[int, Choice, float | None]]:
    """Position in `job.images`, why, and the score of the image; no image twice."""
    counts = stored_tables(store, record)
    scores = dict(zip(counts.ids, image_scores(counts).tolist(), strict=True))
    by_position = np.array([scores[name] for name in job.images.sample_ids])
    best, worst = best_and_worst(by_position, num_extremes)
    wanted: list[tuple[Choice, Sequence[int]]] = [
        ("first", range(min(num_first, len(by_position)))),
        ("worst", worst),
        ("best", best),
    ]
    chosen: dict[int, Choice] = {}
    for choice, indices in wanted:
        for index in indices:
            chosen.setdefault(index, choice)
    return [
        (index, choice, None if math.isnan(by_position[index]) else float(by_position[index]))
        for index, choice in chosen.items()
    ]


def _draw(
    sample: Sample,
    prediction: Integer[np.ndarray, "H W"],
    words: Sequence[str],
    chosen: Choice,
    miou: float | None,
    fingerprint: str,
    store: Store,
) -> Picture:
    colours = class_colours(len(words), _by_area(sample.label, prediction, len(words)))
    panels = {
        "image": sample.image,
        "truth": painted(sample.image, sample.label, colours),
        "prediction": painted(sample.image, prediction, colours),
        "difference": difference(sample.image, sample.label, prediction),
    }
    pictures = {kind: _shrunk(Image.fromarray(pixels)) for kind, pixels in panels.items()}
    return Picture(
        id=sample.id,
        miou=miou,
        chosen=chosen,
        width=pictures["image"].width,
        height=pictures["image"].height,
        files={kind: put_picture(store, fingerprint, _webp(picture)) for kind, picture in pictures.items()},
        classes=_classes(sample.label, prediction, words, colours),
    )


def _by_area(truth: Integer[np.ndarray, "H W"], prediction: Integer[np.ndarray, "H W"], num_classes: int) -> list[int]:
    """The classes of a picture, the largest first: those of the ground truth, whose picture so is the same whatever is
    predicted, and then those that are only predicted."""
    num_gt, num_pred = (
        np.bincount(labels[labels != IGNORE_INDEX], minlength=num_classes) for labels in (truth, prediction)
    )
    areas = np.where(num_gt, num_gt, num_pred)
    return sorted(np.flatnonzero(areas).tolist(), key=lambda index: (not num_gt[index], -areas[index]))


def _classes(
    truth: Integer[np.ndarray, "H W"],
    prediction: Integer[np.ndarray, "H W"],
    words: Sequence[str],
    colours: UInt8[np.ndarray, "N 3"],
) -> tuple[PictureClass, ...]:
    """Those that occur where the image is scored, the largest in the ground truth first."""
    scored = truth != IGNORE_INDEX
    num_gt, num_pred = (np.bincount(labels[scored], minlength=len(words)) for labels in (truth, prediction))
    present = sorted(np.flatnonzero(num_gt + num_pred).tolist(), key=lambda index: (-num_gt[index], -num_pred[index]))
    return tuple(
        PictureClass(
            name=words[index],
            colour=f"#{bytes(colours[index].tolist()).hex()}",
            num_gt_pixels=int(num_gt[index]),
            num_pred_pixels=int(num_pred[index]),
        )
        for index in present
    )


def _shrunk(picture: Image.Image) -> Image.Image:
    scale = LONGEST_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=90)
    return buffer.getvalue()
