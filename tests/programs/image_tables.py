"""The counts of images, made into what the metrics read, and the whole numbers of totals, to compare them by."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ovlab.metrics.class_totals import ClassTotals
from ovlab.metrics.counting import ClassCounts, SparseCounts
from ovlab.metrics.per_image import ClassTables, PerImageCounts, class_tables, per_image_counts


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
    tables = per_image_counts(ids, image, gt, pred, count, num_classes)
    kinds = counts[0].beside if counts else ()
    beside = {kind: _class_tables([sparse.beside[kind] for sparse in counts], num_classes) for kind in kinds}
    return replace(tables, beside=beside)


def _class_tables(images: list[ClassCounts], num_classes: int) -> ClassTables:
    columns = ClassCounts(*(np.concatenate(parts) for parts in zip(*images, strict=True)))
    image = np.repeat(np.arange(len(images)), [len(one.label) for one in images])
    return class_tables(image, columns, len(images), num_classes)


def whole_numbers(totals: ClassTotals) -> dict[str, object]:
    pixels = {name: getattr(totals.pixels, name).tolist() for name in ("hits", "gt", "pred")}
    return {"images": totals.num_images, "hallucinated": totals.hallucinated.tolist(), **pixels}
