"""Which class is taken for which: the largest entries beside the diagonal of a run's confusion matrix.

Of the N x N entries few are not zero, and only those are added up here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ovlab.metrics.counting import SparseCounts


class Confused(NamedTuple):
    """Pixels of class `truth` that were predicted as `prediction`; `share` of all pixels of `truth`."""

    truth: str
    prediction: str
    num_pixels: int
    share: float


def most_confused(counts: SparseCounts, names: Sequence[str], num: int) -> list[Confused]:
    """The `num` pairs with the most pixels, the largest first; of equal ones, the earlier classes first.

    counts: of all images, one after the other, so that a pair may be there many times. `names`: of all classes.
    """
    pairs, positions = np.unique(counts.gt.astype(np.int64) * len(names) + counts.pred, return_inverse=True)
    sums = np.bincount(positions, weights=counts.count)  # exact in float64: below 2**53
    truths, predictions = np.divmod(pairs, len(names))
    totals = np.bincount(truths, weights=sums)
    wrong = np.flatnonzero(truths != predictions)
    largest = wrong[np.argsort(-sums[wrong], kind="stable")][:num]
    return [
        Confused(names[truths[row]], names[predictions[row]], int(sums[row]), float(sums[row] / totals[truths[row]]))
        for row in largest
    ]
