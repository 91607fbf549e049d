"""Hallucination is counted image by image, by hand and against a loop over pixels."""

import math

import numpy as np
import pytest

from ovlab.metrics.counting import IGNORE_INDEX, SparseCounts, sparse_counts
from ovlab.metrics.evaluation_counts import hallucinated_pixels, sum_counts


def counted(label: list[int], prediction: list[int]) -> SparseCounts:
    return sparse_counts(np.array([prediction]), np.array([label]), 4, ignore_index=255)


def test_hallucinated_pixels_are_those_of_classes_not_in_the_image() -> None:
    assert hallucinated_pixels(counted([0, 0, 1, 1], [0, 1, 2, 3])) == 2
    assert hallucinated_pixels(counted([0, 0, 1, 1], [1, 1, 0, 0])) == 0  # wrong, but both are there


def test_hallucinated_pixels_on_ignored_ground_do_not_count() -> None:
    assert hallucinated_pixels(counted([0, 255, 255], [0, 3, 2])) == 0


def test_hallucination_rate_sees_each_image_by_itself() -> None:
    # Class 1 is in the second image: the sum of both matrices would call nothing a hallucination.
    images = [counted([0, 0, 0, 255], [0, 1, 1, 2]), counted([1, 1], [1, 0])]

    counts = sum_counts(images, 4)

    assert counts["hallucination_rate"] == pytest.approx((2 + 1) / (3 + 2))
    assert counts.num_images == 2


def test_hallucination_rate_agrees_with_a_loop_over_pixels() -> None:
    generator = np.random.default_rng(0)
    images, hallucinated, predicted = [], 0, 0
    for _ in range(10):
        label = generator.choice(generator.integers(0, 30, 5), (12, 15)).astype(np.uint16)
        label[0] = IGNORE_INDEX
        prediction = generator.integers(0, 30, (12, 15)).astype(np.uint16)
        images.append(sparse_counts(prediction, label, 30))
        there = {gt for gt in label.ravel().tolist() if gt != IGNORE_INDEX}
        for gt, pred in zip(label.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if gt != IGNORE_INDEX:
                predicted += 1
                hallucinated += pred not in there

    assert sum_counts(images, 30)["hallucination_rate"] == pytest.approx(hallucinated / predicted)


def test_hallucination_rate_of_the_ground_truth_is_zero_and_of_nothing_nan() -> None:
    assert sum_counts([counted([0, 1, 2, 255], [0, 1, 2, 255])], 4)["hallucination_rate"] == 0.0
    assert math.isnan(sum_counts([], 4)["hallucination_rate"][0])


def test_image_without_a_counted_pixel_is_an_image() -> None:
    assert sum_counts([counted([255, 255], [0, 1])], 4).num_images == 1


def test_merge_adds_all_three() -> None:
    one, other = sum_counts([counted([0, 0], [0, 1])], 4), sum_counts([counted([1, 1], [1, 1])] * 2, 4)

    both = one + other

    assert (both.num_images, both.hallucinated, both.num_pixels) == (3, 1, 6)


def test_merge_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        sum_counts([], 4) + sum_counts([], 5)
