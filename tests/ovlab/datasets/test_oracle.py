"""ovlab.datasets.oracle: the closed formulas against hand-worked figures and against counting."""

import numpy as np
import pytest

from ovlab.datasets.oracle import constant_differences, constant_scores, perfect_differences
from ovlab.metrics.class_totals import ClassTotals, scores_of
from ovlab.metrics.counting import IGNORE_INDEX, sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts

LABELS = [
    np.array([[0, 0, 0, 1], [0, 0, 0, IGNORE_INDEX]], dtype=np.uint16),
    np.array([[1, 1, 3, 3], [1, 1, 1, IGNORE_INDEX]], dtype=np.uint16),
]
CLASS_PIXELS = (6, 6, 0, 2)


def predicted(predictions: list[np.ndarray]) -> ClassTotals:
    return sum_counts((sparse_counts(p, label, 4) for p, label in zip(predictions, LABELS, strict=True)), 4)


def everywhere(constant: int) -> ClassTotals:
    return predicted([np.full_like(label, constant) for label in LABELS])


def test_constant_scores_hand_worked_maps() -> None:
    # 14 counted pixels, 6 of class 0, three classes present; the second image has no pixel of class 0.
    assert constant_scores(CLASS_PIXELS, 0, 7) == pytest.approx(
        {
            "miou": 6 / 14 / 3,
            "legacy_miou": 6 / 14 / 3,
            "fwiou": (6 / 14) ** 2,
            "pixel_accuracy": 6 / 14,
            "mean_accuracy": 1 / 3,
            "hallucination_rate": 7 / 14,
        }
    )


@pytest.mark.parametrize(("constant", "elsewhere"), [(0, 7), (1, 0), (3, 7), (2, 14)])
def test_constant_scores_any_class_is_what_counting_finds(constant: int, elsewhere: int) -> None:
    assert constant_differences(everywhere(constant), constant_scores(CLASS_PIXELS, constant, elsewhere)) == []


def test_constant_differences_one_pixel_predicted_otherwise_is_noticed() -> None:
    predictions = [np.zeros_like(label) for label in LABELS]
    predictions[0][0, 0] = 1

    found = constant_differences(predicted(predictions), constant_scores(CLASS_PIXELS, 0, 7))

    assert any(line.startswith("miou is ") for line in found)


def test_perfect_differences_ground_truth_has_none() -> None:
    assert perfect_differences(predicted(LABELS)) == []


def test_perfect_differences_one_wrong_pixel_is_noticed_everywhere() -> None:
    predictions = [label.copy() for label in LABELS]
    predictions[0][0, 0] = 2

    totals = predicted(predictions)
    *scores, first, second = perfect_differences(totals)

    assert [line.split()[0] for line in scores] == list(scores_of(totals))
    assert [first, second] == [f"IoU of class 0 is {5 / 6}", "IoU of class 2 is 0.0"]
