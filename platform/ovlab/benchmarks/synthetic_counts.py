"""Counts of runs that never were, like those of a real validation set: few classes an image, and rare classes.

A class has a frequency (a power of its rank) and a difficulty, an image has a difficulty, and both move the share of
its pixels that is found. What is missed goes to another class of the image or to any class.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ovlab.metrics.per_image import PerImageCounts

_PIXELS = 350_000

# How far the difficulty of a class, of an image, and of a class in an image of one run move the log odds of a hit.
_CLASS_SPREAD, _IMAGE_SPREAD, _OWN_SPREAD = 1.0, 0.7, 1.0


def synthetic_runs(
    num_images: int,
    num_classes: int,
    *,
    num_runs: int = 1,
    max_classes: int = 14,
    frequency_power: float = 1.0,
    seed: int = 0,
) -> tuple[PerImageCounts, ...]:
    """Runs of equal quality on the same images, which hold 2 .. max_classes classes each."""
    generator = np.random.default_rng(seed)
    frequency = np.arange(1, num_classes + 1) ** -frequency_power
    # The largest of log frequency + Gumbel noise are a draw without replacement.
    order = np.argsort(-(np.log(frequency) + generator.gumbel(size=(num_images, num_classes))), axis=1)
    num_present = generator.integers(2, min(max_classes, num_classes) + 1, (num_images, 1))
    present = np.zeros((num_images, num_classes), bool)
    np.put_along_axis(present, order, np.arange(num_classes) < num_present, axis=1)
    area = generator.gamma(1.0, size=present.shape) * present
    gt = np.ceil(_PIXELS * area / area.sum(axis=1, keepdims=True)).astype(np.int64)
    odds = _CLASS_SPREAD * generator.normal(1.0, size=num_classes)
    odds = odds + _IMAGE_SPREAD * generator.normal(size=(num_images, 1))
    return tuple(_run(gt, present, odds, frequency / frequency.sum(), generator) for _ in range(num_runs))


def _run(
    gt: Int64[np.ndarray, "I N"],
    present: Bool[np.ndarray, "I N"],
    odds: Float64[np.ndarray, "I N"],
    frequency: Float64[np.ndarray, "N"],
    generator: np.random.Generator,
) -> PerImageCounts:
    num_images, num_classes = gt.shape
    own = odds + _OWN_SPREAD * generator.normal(size=gt.shape)
    hits = (gt / (1 + np.exp(-own))).astype(np.int64)
    missed = (gt - hits).sum(axis=1)
    rows = np.arange(num_images)
    inside = np.where(present, generator.random(gt.shape), -1.0).argmax(axis=1)
    anywhere = generator.choice(num_classes, num_images, p=frequency)
    pred = hits.copy()
    pred[rows, inside] += missed - missed // 3
    pred[rows, anywhere] += missed // 3
    return PerImageCounts(
        ids=tuple(f"{row:06d}" for row in range(num_images)),
        hits=hits,
        gt=gt,
        pred=pred,
    )


def seeds_of_one_row(
    num_seeds: int, num_images: int, num_classes: int, *, spread: float = 0.2, seed: int = 0
) -> dict[int, PerImageCounts]:
    """Runs that differ as the seeds of one row do: each finds a class better or worse, by `spread` of the share that
    was missed or found, on all images alike."""
    runs = synthetic_runs(num_images, num_classes, num_runs=num_seeds, max_classes=6, frequency_power=0.5, seed=seed)
    generator = np.random.default_rng(seed + 1)
    found = {}
    for number, run in enumerate(runs):
        shift = spread * generator.normal(size=num_classes).clip(-3, 3) / 3 * np.minimum(run.hits, run.gt - run.hits)
        moved = shift.astype(np.int64)
        found[number] = PerImageCounts(run.ids, run.hits + moved, run.gt, run.pred + moved)
    return found
