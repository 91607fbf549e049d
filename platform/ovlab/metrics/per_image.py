"""The counts of every image of one run as dense tables, from which any figure of any subset follows.

Axes: I images, N classes, K (image, ground truth, prediction) triples that occur, of all images one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

from ovlab.metrics.class_totals import ClassPixels, ClassTotals
from ovlab.metrics.counting import ClassCounts
from ovlab.specs.errors import InputError
from ovlab.specs.scores import Kind
from ovlab.specs.wording import first_names


class ClassTables(NamedTuple):
    hits: Int64[np.ndarray, "I N"]
    gt: Int64[np.ndarray, "I N"]
    pred: Int64[np.ndarray, "I N"]


@dataclass(frozen=True, eq=False, slots=True)
class PerImageCounts:
    """Pixels of each class in each image: right, in the ground truth, in the prediction. `beside`: what else was
    counted of every image, by kind."""

    ids: tuple[str, ...]
    hits: Int64[np.ndarray, "I N"]
    gt: Int64[np.ndarray, "I N"]
    pred: Int64[np.ndarray, "I N"]
    beside: Mapping[Kind, ClassTables] = field(default_factory=dict)

    @property
    def num_images(self) -> int:
        return len(self.ids)

    @property
    def num_classes(self) -> int:
        return self.hits.shape[1]

    def of_images(self) -> ClassTotals:
        """Each image as a set of its own (B = I)."""
        return ClassTotals(
            num_images=1,
            pixels=ClassPixels(self.hits.T, self.gt.T, self.pred.T),
            hallucinated=self.hallucinated(),
            beside={kind: ClassPixels(*(table.T for table in tables)) for kind, tables in self.beside.items()},
        )

    def hallucinated(self) -> Int64[np.ndarray, "I"]:
        """Pixels that are predicted as a class which is nowhere in the ground truth of their image."""
        return (self.pred * (self.gt == 0)).sum(axis=1)


def per_image_counts(
    ids: Sequence[str],
    image: Integer[np.ndarray, "K"],
    gt: Integer[np.ndarray, "K"],
    pred: Integer[np.ndarray, "K"],
    count: Integer[np.ndarray, "K"],
    num_classes: int,
) -> PerImageCounts:
    """The tables from columns: `count[k]` pixels of image `ids[image[k]]` are of class `gt[k]` and predicted `pred[k]`.

    An image without a row has no counted pixel and stays an image. Raises InputError for an id that occurs twice and
    for a class outside 0 .. num_classes - 1.
    """
    if len(set(ids)) < len(ids):
        twice = next(name for position, name in enumerate(ids) if name in ids[:position])
        raise InputError(f"image {twice!r} was counted twice; the counts of a run hold every image once.")
    for what, column in (("ground truth", gt), ("prediction", pred)):
        if column.size and not 0 <= column.min() <= column.max() < num_classes:
            found = column.max() if column.min() >= 0 else column.min()
            raise InputError(f"{what} {found} is outside 0 .. {num_classes - 1}, the classes of the counts.")

    image, count = image.astype(np.int64), count.astype(np.int64)
    right = gt == pred
    return PerImageCounts(
        ids=tuple(ids),
        hits=_table(image[right], gt[right], count[right], len(ids), num_classes),
        gt=_table(image, gt, count, len(ids), num_classes),
        pred=_table(image, pred, count, len(ids), num_classes),
    )


def class_tables(
    image: Integer[np.ndarray, "L"], counts: ClassCounts, num_images: int, num_classes: int
) -> ClassTables:
    """The tables of class counts from columns: those of class `counts.label[k]` in the image at `image[k]`. Raises
    InputError for a class outside 0 .. num_classes - 1."""
    label, *columns = counts
    if label.size and label.max() >= num_classes:
        raise InputError(f"class {label.max()} is outside 0 .. {num_classes - 1}, the classes of the counts.")
    return ClassTables(*(_table(image.astype(np.int64), label, column, num_images, num_classes) for column in columns))


def matched(
    first: PerImageCounts, second: PerImageCounts, names: tuple[str, str] = ("the first run", "the second run")
) -> PerImageCounts:
    """`second` with its images in the order of `first`, by id.

    Raises InputError naming what differs: the classes, the images, or the ground truth of an image.
    """
    if first.num_classes != second.num_classes:
        raise InputError(
            f"{names[0]} has {first.num_classes} classes and {names[1]} {second.num_classes}; "
            "only runs on one benchmark can be compared."
        )
    if set(first.ids) != set(second.ids):
        missing = [f"{names[1]} lacks {_some(first.ids, second.ids)}"] if set(first.ids) - set(second.ids) else []
        missing += [f"{names[0]} lacks {_some(second.ids, first.ids)}"] if set(second.ids) - set(first.ids) else []
        raise InputError(f"the runs have not scored the same images: {'; '.join(missing)}.")
    row_of = {name: row for row, name in enumerate(second.ids)}
    rows = np.array([row_of[name] for name in first.ids], np.int64)
    other_gt = np.flatnonzero((first.gt != second.gt[rows]).any(axis=1))
    if len(other_gt):
        raise InputError(
            f"the ground truth of {len(other_gt)} images differs between {names[0]} and {names[1]}, first of "
            f"{first.ids[other_gt[0]]!r}; only runs on the same labels can be compared."
        )
    beside = {kind: ClassTables(*(table[rows] for table in tables)) for kind, tables in second.beside.items()}
    return PerImageCounts(first.ids, second.hits[rows], second.gt[rows], second.pred[rows], beside)


def _table(
    row: Int64[np.ndarray, "J"],
    column: Integer[np.ndarray, "J"],
    count: Int64[np.ndarray, "J"],
    num_rows: int,
    num_columns: int,
) -> Int64[np.ndarray, "rows columns"]:
    """Counts added up by cell. The float64 of bincount is exact: an image has fewer than 2**53 pixels."""
    cell = row * num_columns + column
    sums = np.bincount(cell, weights=count, minlength=num_rows * num_columns)
    return sums.astype(np.int64).reshape(num_rows, num_columns)


def _some(ids: Sequence[str], others: Sequence[str]) -> str:
    known = set(others)
    missing = [name for name in ids if name not in known]
    return f"{len(missing)} ({first_names(missing)})"
