"""The summary is JSON, in fractions, and says nothing where nothing was counted."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from ovlab.metrics.class_totals import ClassPixels, ClassTotals
from ovlab.metrics.counting import sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.summary import summary
from ovlab.specs.scores import SCORES, Kind

NAMES = ("sky", "road", "car", "boat")


@pytest.fixture
def counts() -> ClassTotals:
    """sky: 2 of 3 found, the third is called car; road: both found; car and boat are nowhere; a pixel is ignored."""
    label, prediction = np.array([[0, 0, 0, 1, 1, 255]]), np.array([[0, 0, 2, 1, 1, 3]])
    return sum_counts([sparse_counts(prediction, label, 4, ignore_index=255)], 4)


def test_summary_holds_every_score(counts: ClassTotals) -> None:
    near = ClassPixels(counts.pixels.hits // 2, counts.pixels.gt, counts.pixels.pred)
    everything = replace(counts, beside=dict.fromkeys(get_args(Kind), near))
    found = summary(everything, NAMES, seen=np.array([True, False, True, True]))

    assert set(SCORES) <= found.keys()
    assert found["boundary_iou"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert found["miou"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["legacy_miou"] == pytest.approx((2 / 3 + 1) / 3)
    assert found["fwiou"] == pytest.approx((3 * 2 / 3 + 2 * 1) / 5)
    assert found["pixel_accuracy"] == pytest.approx(4 / 5)
    assert found["mean_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["hallucination_rate"] == pytest.approx(1 / 5)
    assert found["seen_miou"] == pytest.approx(2 / 3)
    assert found["unseen_miou"] == pytest.approx(1.0)
    assert found["harmonic_miou"] == pytest.approx(0.8)
    assert (found["num_images"], found["num_pixels"], found["num_classes"]) == (1, 5, 4)
    assert (found["num_classes_in_ground_truth"], found["num_classes_in_prediction"]) == (2, 3)


def test_summary_lists_classes_in_their_order(counts: ClassTotals) -> None:
    classes = summary(counts, NAMES)["classes"]

    assert [entry["name"] for entry in classes] == list(NAMES)
    assert [entry["iou"] for entry in classes] == [pytest.approx(2 / 3), 1.0, 0.0, None]
    assert [entry["accuracy"] for entry in classes] == [pytest.approx(2 / 3), 1.0, None, None]
    assert [entry["num_gt_pixels"] for entry in classes] == [3, 2, 0, 0]
    assert [entry["num_pred_pixels"] for entry in classes] == [2, 2, 1, 0]


@pytest.mark.parametrize("num_images", [0, 1])
def test_summary_survives_strict_json(counts: ClassTotals, num_images: int) -> None:
    found = summary([sum_counts([], 4), counts][num_images], NAMES, seen=np.array([True] * 4))

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_summary_with_another_number_of_names_is_refused(counts: ClassTotals) -> None:
    with pytest.raises(ValueError, match="3 class names for counts of 4 classes"):
        summary(counts, NAMES[:3])


def test_summary_of_ignored_pixels_alone_has_no_score() -> None:
    ignored, prediction = np.full((2, 3), 255), np.zeros((2, 3), int)
    counts = sum_counts([sparse_counts(prediction, ignored, 4, ignore_index=255)], 4)

    found = summary(counts, NAMES)

    assert found["fwiou"] is None
    assert {found[name] for name in SCORES if name in found} == {None}
    assert (found["num_images"], found["num_pixels"]) == (1, 0)


def test_summary_classes_with_ground_truth_have_the_mean_miou_and_all_with_an_iou_legacy_miou(
    counts: ClassTotals,
) -> None:
    """detectron2's mIoU since July 2022, and mmsegmentation's."""
    found = summary(counts, NAMES)
    present = [entry["iou"] for entry in found["classes"] if entry["num_gt_pixels"]]
    known = [entry["iou"] for entry in found["classes"] if entry["iou"] is not None]

    assert found["miou"] == pytest.approx(np.mean(present))
    assert found["legacy_miou"] == pytest.approx(np.mean(known))
