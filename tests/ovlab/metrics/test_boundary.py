"""Boundary IoU against the erosion of its authors' program, written as loops, and by hand."""

import math

import numpy as np
import pytest

from image_tables import tables_of
from ovlab.metrics.boundary import boundary_counts, trim_width
from ovlab.metrics.counting import IGNORE_INDEX, SparseCounts, sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.image_scores import image_scores
from ovlab.metrics.per_image import matched
from ovlab.metrics.resampling import draw_weights, resample

VOID = IGNORE_INDEX
NUM_CLASSES = 5


def eroded(mask: np.ndarray) -> np.ndarray:
    """Once, by 3 x 3; what lies outside of the array takes nothing away."""
    result = mask.copy()
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            result[row, column] = mask[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].all()
    return result


def boundary_of(labels: np.ndarray, counted: np.ndarray, name: int, width: int) -> np.ndarray:
    """The mask of a class less its erosion, in a frame of zeros; what is not counted is in every mask, and in none."""
    mask = np.pad((labels == name) | ~counted, 1)
    inside = mask
    for _ in range(width):
        inside = eroded(inside)
    return (mask & ~inside)[1:-1, 1:-1] & (labels == name) & counted


def by_loops(prediction: np.ndarray, label: np.ndarray, share: float) -> dict[int, tuple[int, int, int]]:
    counted, width = label != VOID, max(1, round(share * math.hypot(*label.shape)))
    found = {}
    for name in range(NUM_CLASSES):
        gt, pred = (boundary_of(labels, counted, name, width) for labels in (label, prediction))
        if gt.any() or pred.any():
            found[name] = (int((gt & pred).sum()), int(gt.sum()), int(pred.sum()))
    return found


def blobs(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Rectangles over one another."""
    labels = np.full(shape, generator.integers(NUM_CLASSES), np.uint16)
    for _ in range(4):
        top, left = generator.integers(0, shape[0]), generator.integers(0, shape[1])
        height, width = generator.integers(1, 12, 2)
        labels[top : top + height, left : left + width] = generator.integers(NUM_CLASSES)
    return labels


def pair(generator: np.random.Generator, shape: tuple[int, int] = (17, 23)) -> tuple[np.ndarray, np.ndarray]:
    """A prediction that has most of the label, which has an ignored block and ignored specks."""
    label = blobs(generator, shape)
    prediction = np.where(generator.random(shape) < 0.9, label, blobs(generator, shape))
    label[generator.random(shape) < 0.02] = VOID
    label[3:9, 5:8] = VOID
    return prediction, label


def counted(prediction: np.ndarray, label: np.ndarray, share: float = 0.06) -> SparseCounts:
    return sparse_counts(prediction, label, NUM_CLASSES)._replace(
        beside={"boundary": boundary_counts(prediction, label, share)}
    )


@pytest.mark.parametrize("share", [0.001, 0.06, 0.15, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_boundary_counts_are_those_of_the_erosion_in_loops(seed: int, share: float) -> None:
    prediction, label = pair(np.random.default_rng(seed))

    names, *columns = boundary_counts(prediction, label, share)

    found = zip(names.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True)
    assert dict(found) == by_loops(prediction, label, share)


def test_boundary_counts_by_hand() -> None:
    # 6 x 6, cut in the middle: one pixel along the border of each half is its boundary, 18 pixels less the 4 within.
    label = np.zeros((6, 6), np.uint16)
    label[:, 3:] = 1
    prediction = np.roll(label, 1, axis=1)
    prediction[:, 0] = 0  # the cut is one column further right

    names, hits, gt, pred = boundary_counts(prediction, label, 0.02)

    assert (names.tolist(), gt.tolist(), pred.tolist()) == ([0, 1], [14, 14], [24 - 8, 12])
    # In both: of class 0 columns 0 and 1, 2 in the first and last row; of class 1 columns 5, and 4 in these rows.
    assert hits.tolist() == [10, 8]


def test_boundary_iou_of_small_mistakes_is_far_below_miou() -> None:
    label = np.zeros((200, 200), np.uint16)
    label[50:150, 50:150] = 1
    prediction = np.roll(label, 3, axis=1)

    totals = sum_counts([counted(prediction, label, 0.02)], NUM_CLASSES)

    assert totals["miou"] > 0.93
    assert totals["boundary_iou"] < 0.8


def test_ignored_pixels_cost_nothing_and_make_no_contour() -> None:
    generator = np.random.default_rng(0)
    label = np.full((40, 40), 2, np.uint16)
    label[10:20, 10:20] = VOID
    prediction = np.where(label == VOID, generator.integers(0, NUM_CLASSES, label.shape), label).astype(np.uint16)

    names, hits, gt, pred = boundary_counts(prediction, label, 0.02)

    frame = 4 * 39  # of the image alone
    assert (names.tolist(), hits.tolist(), gt.tolist(), pred.tolist()) == ([2], [frame], [frame], [frame])


def test_boundary_iou_of_the_ground_truth_itself_is_exactly_one() -> None:
    _, label = pair(np.random.default_rng(1))

    assert sum_counts([counted(np.where(label == VOID, 0, label), label)], NUM_CLASSES)["boundary_iou"] == 1.0


def test_boundary_counts_of_an_image_that_is_ignored_are_empty() -> None:
    label = np.full((4, 4), VOID, np.uint16)

    assert boundary_counts(np.zeros_like(label), label, 0.1).label.size == 0


def test_trim_width_is_the_nearest_whole_number_and_at_least_one() -> None:
    # 500 pixels of diagonal.
    assert [trim_width((300, 400), share) for share in (0.02, 0.0212, 0.0001)] == [10, 11, 1]


def test_resampled_boundary_iou_is_that_of_the_drawn_images() -> None:
    generator = np.random.default_rng(2)
    images = [(str(index), counted(*pair(generator))) for index in range(9)]
    counts = tables_of(images, NUM_CLASSES)

    samples = resample(counts, names=["boundary_iou", "miou"], num_resamples=60, seed=4)

    weights = np.concatenate(draw_weights(9, 60, 4), axis=1)
    for draw in range(60):
        drawn = [image for (_, image), times in zip(images, weights[:, draw], strict=True) for _ in range(times)]
        assert samples.scores["boundary_iou"][draw] == pytest.approx(sum_counts(drawn, NUM_CLASSES)["boundary_iou"][0])
    assert samples.full["boundary_iou"] == sum_counts([image for _, image in images], NUM_CLASSES)["boundary_iou"]
    alone = [sum_counts([image], NUM_CLASSES)["boundary_iou"][0] for _, image in images]
    np.testing.assert_allclose(image_scores(counts, "boundary_iou"), alone)


def test_matched_puts_boundaries_in_the_order_of_the_first_run() -> None:
    generator = np.random.default_rng(3)
    images = [(str(index), counted(*pair(generator))) for index in range(3)]
    first, second = tables_of(images, NUM_CLASSES), tables_of(images[::-1], NUM_CLASSES)

    for ours, theirs in zip(matched(first, second).beside["boundary"], first.beside["boundary"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_boundaries_of_some_images_only_are_not_known_of_their_sum() -> None:
    image = counted(*pair(np.random.default_rng(5)))
    without = image._replace(beside={})

    assert not sum_counts([image, without], NUM_CLASSES).beside
    assert not (sum_counts([image], NUM_CLASSES) + sum_counts([without], NUM_CLASSES)).beside
    both, twice = (
        sum_counts([image], NUM_CLASSES) + sum_counts([image], NUM_CLASSES),
        sum_counts([image] * 2, NUM_CLASSES),
    )
    np.testing.assert_array_equal(both.beside["boundary"].gt, twice.beside["boundary"].gt)
