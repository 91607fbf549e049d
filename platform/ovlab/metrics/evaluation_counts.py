"""From the counts of images, one by one, to the totals of an evaluation.

Hallucination is a matter of one image: a pixel predicted as a class that is nowhere in that image's ground truth. The
totals of classes forget which image a pixel was in, so these pixels are counted beside them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ovlab.metrics.class_totals import ClassPixels, ClassTotals
from ovlab.metrics.counting import ClassCounts, SparseCounts
from ovlab.specs.scores import Kind


class ImageCounts(NamedTuple):
    """What one photograph adds to the figures."""

    id: str
    counts: SparseCounts


def sum_counts(images: Iterable[SparseCounts], num_classes: int) -> ClassTotals:
    """The totals (B = 1) of all images, whatever their order. No image gives zeros. What stands beside the pairs is
    known of the sum where it is of every image."""
    pixels = np.zeros((3, num_classes), np.int64)
    hits, gt, pred = pixels
    beside: dict[Kind, np.ndarray] = {}
    num_with: Counter[Kind] = Counter()
    num_hallucinated = num_images = 0
    for image in images:
        right = image.gt == image.pred
        hits[image.gt[right]] += image.count[right]  # a pair is in an image once
        np.add.at(gt, image.gt, image.count)
        np.add.at(pred, image.pred, image.count)
        for kind, counts in image.beside.items():
            beside.setdefault(kind, np.zeros_like(pixels))[:, counts.label] += counts[1:]
            num_with[kind] += 1
        num_hallucinated += hallucinated_pixels(image)
        num_images += 1
    return ClassTotals(
        num_images=num_images,
        pixels=ClassPixels(*pixels[:, :, None]),
        hallucinated=np.array([num_hallucinated]),
        beside={kind: ClassPixels(*sums[:, :, None]) for kind, sums in beside.items() if num_with[kind] == num_images},
    )


def class_counts(image: SparseCounts) -> ClassCounts:
    """The pairs of one image, added up by class."""
    label = np.union1d(image.gt, image.pred)
    sums = np.zeros((3, len(label)), np.int64)
    hits, gt, pred = sums
    in_gt, in_pred = np.searchsorted(label, image.gt), np.searchsorted(label, image.pred)
    right = image.gt == image.pred
    hits[in_gt[right]] = image.count[right]  # a pair is in an image once
    np.add.at(gt, in_gt, image.count)
    np.add.at(pred, in_pred, image.count)
    return ClassCounts(label, *sums)


def hallucinated_pixels(image: SparseCounts) -> int:
    """Counted pixels of one image whose predicted class has no pixel in its ground truth."""
    return int(image.count[~np.isin(image.pred, image.gt)].sum())
