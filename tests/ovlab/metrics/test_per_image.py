"""The tables of all images: by hand, against a loop over images, and matched between runs by id."""

import numpy as np
import pytest

from image_tables import tables_of
from ovlab.metrics.counting import SparseCounts, sparse_counts
from ovlab.metrics.evaluation_counts import hallucinated_pixels, sum_counts
from ovlab.metrics.per_image import PerImageCounts, matched, per_image_counts
from ovlab.specs.errors import InputError


def counted(label: list[int], prediction: list[int]) -> SparseCounts:
    return sparse_counts(np.array([prediction]), np.array([label]), 3, ignore_index=255)


def run_of(*ids: str, prediction: list[int] | None = None) -> PerImageCounts:
    """Image i of a run has i + 1 pixels of class 0 and one of class 1."""
    label = {name: [0] * (ord(name) - ord("a") + 1) + [1] for name in ids}
    return tables_of([(name, counted(label[name], prediction or label[name])) for name in ids], 3)


def test_tables_by_hand() -> None:
    counts = tables_of([("a", counted([0, 0, 1, 255], [0, 1, 2, 2])), ("b", counted([2, 2], [2, 0]))], 3)

    assert counts.ids == ("a", "b")
    np.testing.assert_array_equal(counts.hits, [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(counts.gt, [[2, 1, 0], [0, 0, 2]])
    np.testing.assert_array_equal(counts.pred, [[1, 1, 1], [1, 0, 1]])
    np.testing.assert_array_equal(counts.of_images().pixels.union.T, [[2, 2, 1], [1, 0, 2]])
    np.testing.assert_array_equal(counts.hallucinated(), [1, 1])  # class 2 is not in a, class 0 not in b


def test_tables_agree_with_a_loop_over_images() -> None:
    generator = np.random.default_rng(0)
    images = []
    for index in range(12):
        label = generator.choice(generator.integers(0, 9, 3), (6, 7)).astype(np.uint16)
        images.append((str(index), sparse_counts(generator.integers(0, 9, (6, 7)).astype(np.uint16), label, 9)))

    counts = tables_of(images, 9)

    for row, (_, image) in enumerate(images):
        pixels = sum_counts([image], 9).pixels
        np.testing.assert_array_equal(counts.hits[row], pixels.hits[:, 0])
        np.testing.assert_array_equal(counts.gt[row], pixels.gt[:, 0])
        np.testing.assert_array_equal(counts.pred[row], pixels.pred[:, 0])
        assert counts.hallucinated()[row] == hallucinated_pixels(image)


def test_image_without_a_counted_pixel_stays_an_image() -> None:
    counts = tables_of([("a", counted([255, 255], [0, 1])), ("b", counted([0], [0]))], 3)

    assert counts.num_images == 2
    assert counts.gt[0].sum() == 0


def test_no_image_gives_empty_tables() -> None:
    assert tables_of([], 3).gt.shape == (0, 3)


def test_image_counted_twice_is_refused() -> None:
    with pytest.raises(InputError, match="image 'a' was counted twice"):
        tables_of([("a", counted([0], [0])), ("a", counted([1], [1]))], 3)


def test_class_out_of_range_is_refused() -> None:
    column = np.array([0])
    with pytest.raises(InputError, match=r"prediction 7 is outside 0 \.\. 2"):
        per_image_counts(["a"], column, column, np.array([7]), np.array([1]), 3)


def test_matched_puts_images_in_the_order_of_the_first_run() -> None:
    first, second = run_of("a", "b", "c"), run_of("c", "a", "b")

    both = matched(first, second)

    assert both.ids == first.ids
    np.testing.assert_array_equal(both.hits, first.hits)
    np.testing.assert_array_equal(both.pred, first.pred)


def test_matched_names_the_images_that_a_run_lacks() -> None:
    with pytest.raises(InputError, match=r"B lacks 4 \(b, c, d and 1 more\); A lacks 1 \(z\)\.$"):
        matched(run_of("a", "b", "c", "d", "e"), run_of("a", "z"), ("A", "B"))


def test_matched_names_the_first_image_with_another_ground_truth() -> None:
    first, second = run_of("a", "b"), run_of("a", "b", prediction=None)
    second.gt[1, 2] += 1

    with pytest.raises(InputError, match="ground truth of 1 images differs between A and B, first of 'b'"):
        matched(first, second, ("A", "B"))


def test_matched_refuses_another_number_of_classes() -> None:
    with pytest.raises(InputError, match="A has 3 classes and B 4"):
        matched(run_of("a"), tables_of([("a", counted([0], [0]))], 4), ("A", "B"))
