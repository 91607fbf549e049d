"""The score of each image alone."""

import numpy as np
import pytest

from ovlab.metrics.image_scores import best_and_worst, image_scores
from ovlab.metrics.per_image import per_image_counts


def test_image_miou_is_the_mean_over_the_classes_of_that_image() -> None:
    # a: class 0 has 3 of 4 pixels right, class 1 gets the other one: IoU 3/4, and class 1 is not in its ground truth.
    # b: class 1 right with 2 of 2 pixels, class 2 all 2 taken for class 1: IoU 2/4 and 0. c: nothing is labelled.
    counts = per_image_counts(
        ["a", "b", "c"],
        image=np.array([0, 0, 1, 1]),
        gt=np.array([0, 0, 1, 2]),
        pred=np.array([0, 1, 1, 1]),
        count=np.array([3, 1, 2, 2]),
        num_classes=4,
    )

    scores = image_scores(counts)

    assert scores[:2] == pytest.approx([0.75, 0.25])
    assert np.isnan(scores[2])


def test_best_and_worst_come_most_extreme_first_without_images_that_have_no_score() -> None:
    scores = np.array([0.4, np.nan, 0.9, 0.1, 0.6, 0.2])

    assert best_and_worst(scores, 2) == ([2, 4], [3, 5])


@pytest.mark.parametrize(("scores", "expected"), [([0.3, 0.2, 0.1], ([0], [2])), ([0.3], ([], [])), ([], ([], []))])
def test_no_image_is_among_the_best_and_the_worst(scores: list[float], expected: tuple[list[int], list[int]]) -> None:
    assert best_and_worst(np.array(scores, np.float64), 4) == expected
