"""Everything an evaluation counts: confusion, hallucination and images, mergeable like each of them.

Hallucination is a matter of one image: a pixel predicted as a class that is nowhere in that image's ground truth. The
sum of the confusion matrices forgets which image a pixel was in, so these pixels are counted beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ovlab.metrics.confusion import ConfusionCounts
from ovlab.metrics.counting import SparseCounts


class ImageCounts(NamedTuple):
    """What one photograph adds to the figures."""

    id: str
    counts: SparseCounts


@dataclass(frozen=True, eq=False, slots=True)
class EvaluationCounts:
    """The sum over `num_images` images; `num_hallucinated` of the counted pixels are hallucinated."""

    confusion: ConfusionCounts
    num_hallucinated: int
    num_images: int

    def merge(self, other: "EvaluationCounts") -> "EvaluationCounts":
        """The counts of both. Raises ValueError when they are of different classes."""
        return EvaluationCounts(
            self.confusion.merge(other.confusion),
            self.num_hallucinated + other.num_hallucinated,
            self.num_images + other.num_images,
        )

    __add__ = merge

    def hallucination_rate(self) -> float:
        """Share of the predicted area in classes that are not in the image; ignored pixels have no part in it."""
        num_pixels = self.confusion.num_pixels
        return self.num_hallucinated / num_pixels if num_pixels else float("nan")


def sum_counts(images: Iterable[SparseCounts], num_classes: int) -> EvaluationCounts:
    """The counts of all images, whatever their order. No image gives zero counts."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    num_hallucinated = num_images = 0
    for image in images:
        counts[image.gt, image.pred] += image.count  # a pair is in an image once
        num_hallucinated += hallucinated_pixels(image)
        num_images += 1
    return EvaluationCounts(ConfusionCounts(counts), num_hallucinated, num_images)


def hallucinated_pixels(image: SparseCounts) -> int:
    """Counted pixels of one image whose predicted class has no pixel in its ground truth."""
    return int(image.count[~np.isin(image.pred, image.gt)].sum())
