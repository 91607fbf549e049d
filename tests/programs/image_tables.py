"""The counts of images, made into what the metrics read, and the whole numbers of totals, to compare them by."""

from collections.abc import Iterable

import numpy as np

from ovlab.metrics.class_totals import ClassTotals
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.per_image import PerImageCounts, per_image_counts


def tables_of(images: Iterable[tuple[str, SparseCounts]], num_classes: int) -> PerImageCounts:
    """The tables from (id, sparse counts) of each image, as an evaluation gives them."""
    ids, counts = [], []
    for name, sparse in images:
        ids.append(name)
        counts.append(sparse)
    empty = SparseCounts(np.empty(0, np.uint16), np.empty(0, np.uint16), np.empty(0, np.int64))
    gt, pred, count = (
        np.concatenate([getattr(sparse, column) for sparse in (empty, *counts)]) for column in ("gt", "pred", "count")
    )
    image = np.repeat(np.arange(len(ids)), [len(sparse.gt) for sparse in counts])
    return per_image_counts(ids, image, gt, pred, count, num_classes)


def whole_numbers(totals: ClassTotals) -> dict[str, object]:
    pixels = {name: getattr(totals.pixels, name).tolist() for name in ("hits", "gt", "pred")}
    return {"images": totals.num_images, "hallucinated": totals.hallucinated.tolist(), **pixels}
