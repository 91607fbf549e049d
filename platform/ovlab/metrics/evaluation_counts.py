"""From the counts of images, one by one, to the totals of an evaluation.

Hallucination is a matter of one image: a pixel predicted as a class that is nowhere in that image's ground truth. The
totals of classes forget which image a pixel was in, so these pixels are counted beside them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ovlab.metrics.class_totals import ClassPixels, ClassTotals
from ovlab.metrics.counting import SparseCounts


class ImageCounts(NamedTuple):
    """What one photograph adds to the figures."""

    id: str
    counts: SparseCounts


def sum_counts(images: Iterable[SparseCounts], num_classes: int) -> ClassTotals:
    """The totals (B = 1) of all images, whatever their order. No image gives zeros. Boundaries are known of the sum
    where they are of every image."""
    pixels, near = np.zeros((2, 3, num_classes), np.int64)
    hits, gt, pred = pixels
    num_hallucinated = num_images = num_with_boundary = 0
    for image in images:
        right = image.gt == image.pred
        hits[image.gt[right]] += image.count[right]  # a pair is in an image once
        np.add.at(gt, image.gt, image.count)
        np.add.at(pred, image.pred, image.count)
        if image.boundary is not None:
            near[:, image.boundary.label] += image.boundary[1:]
            num_with_boundary += 1
        num_hallucinated += hallucinated_pixels(image)
        num_images += 1
    return ClassTotals(
        num_images=num_images,
        pixels=ClassPixels(*pixels[:, :, None]),
        hallucinated=np.array([num_hallucinated]),
        boundary=ClassPixels(*near[:, :, None]) if 0 < num_with_boundary == num_images else None,
    )


def hallucinated_pixels(image: SparseCounts) -> int:
    """Counted pixels of one image whose predicted class has no pixel in its ground truth."""
    return int(image.count[~np.isin(image.pred, image.gt)].sum())
