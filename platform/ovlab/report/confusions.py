"""Which class is taken for which: the largest entries beside the diagonal of a run's confusion matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ovlab.metrics.confusion import ConfusionCounts


class Confused(NamedTuple):
    """Pixels of class `truth` that were predicted as `prediction`; `share` of all pixels of `truth`."""

    truth: str
    prediction: str
    num_pixels: int
    share: float


def most_confused(confusion: ConfusionCounts, names: Sequence[str], num: int) -> list[Confused]:
    """The `num` pairs with the most pixels, the largest first; of equal ones, the earlier classes first."""
    wrong = confusion.counts.copy()
    np.fill_diagonal(wrong, 0)
    flat = wrong.reshape(-1)
    largest = np.argsort(-flat, kind="stable")[:num]
    truths, predictions = np.divmod(largest[flat[largest] > 0], confusion.num_classes)
    pixels = wrong[truths, predictions]
    shares = pixels / confusion.gt_pixels[truths]
    return [
        Confused(names[truth], names[prediction], int(num_pixels), float(share))
        for truth, prediction, num_pixels, share in zip(truths, predictions, pixels, shares, strict=True)
    ]
