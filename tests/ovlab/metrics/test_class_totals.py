"""The scores, computed by hand, and against their definitions written as loops over pixels."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from ovlab.metrics.class_totals import ClassPixels, ClassTotals, ratio, scores_of
from ovlab.metrics.counting import IGNORE_INDEX, sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.specs.scores import SCORES, Kind


def totals_of(confusion: list[list[int]] | np.ndarray, seen: list[bool] | None = None) -> ClassTotals:
    """Rows ground truth, columns prediction."""
    matrix = np.array(confusion)
    hits, gt, pred = np.diagonal(matrix)[:, None], matrix.sum(axis=1)[:, None], matrix.sum(axis=0)[:, None]
    return ClassTotals(1, ClassPixels(hits, gt, pred), np.array([0]), None if seen is None else np.array(seen))


# 0 and 1 are in the ground truth, 2 is only predicted, 3 is nowhere.
BY_HAND = totals_of([[6, 2, 0, 0], [0, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], seen=[True, True, False, False])


def counted(label: list[int], prediction: list[int], num_classes: int = 2) -> ClassTotals:
    return sum_counts([sparse_counts(np.array([prediction]), np.array([label]), num_classes, 255)], num_classes)


def test_iou_is_zero_for_a_class_only_predicted_and_nan_for_one_nowhere() -> None:
    iou = ratio(BY_HAND.pixels.hits, BY_HAND.pixels.union)[:, 0]

    np.testing.assert_allclose(iou[:3], [6 / 8, 3 / 6, 0.0])
    assert math.isnan(iou[3])


def test_scores_by_hand() -> None:
    assert BY_HAND["miou"] == pytest.approx((6 / 8 + 3 / 6) / 2)
    assert BY_HAND["legacy_miou"] == pytest.approx((6 / 8 + 3 / 6) / 3)
    assert BY_HAND["fwiou"] == pytest.approx((8 * 6 / 8 + 4 * 3 / 6) / 12)
    assert BY_HAND["pixel_accuracy"] == pytest.approx(9 / 12)
    assert BY_HAND["mean_accuracy"] == pytest.approx((6 / 8 + 3 / 4) / 2)


def test_mean_iou_conventions_on_a_set_with_absent_classes_differ_by_the_denominator() -> None:
    # Like PC-459, where 345 of 459 classes have ground truth in val: here 345 classes of 10 pixels, 6 of them found,
    # the others predicted as one class each of the 114 absent ones, in turn, of which so 100 are predicted.
    counts = np.zeros((459, 459), np.int64)
    for gt in range(345):
        counts[gt, gt] = 6
        counts[gt, 345 + gt % 100] = 4
    found = totals_of(counts)

    assert found["miou"] == pytest.approx(0.6)  # 6 hits of a union of 10, for each of the 345
    assert found["legacy_miou"] == pytest.approx(0.6 * 345 / 445)


def test_mean_iou_conventions_agree_where_all_classes_have_ground_truth() -> None:
    counts = totals_of(np.random.default_rng(0).integers(1, 50, (7, 7)))

    assert counts["miou"] == counts["legacy_miou"]


def test_mean_iou_of_merged_shards_is_not_the_mean_of_shards() -> None:
    shards = [counted([0, 0, 0, 1], [0, 0, 0, 0]), counted([1, 1, 1, 255], [1, 1, 1, 0])]

    merged = shards[0] + shards[1]

    assert merged["miou"] == pytest.approx(0.75)  # both classes: 3 hits, union 4
    assert sum(shard["miou"] for shard in shards) / 2 == pytest.approx((0.375 + 1.0) / 2)


def test_scores_agree_with_their_definitions_as_loops() -> None:
    generator = np.random.default_rng(1)
    label, prediction = generator.integers(0, 6, (2, 30, 20))
    label[label == 4] = 2  # 4 is only predicted
    label[:3] = IGNORE_INDEX
    pixels = [
        (gt, pred)
        for gt, pred in zip(label.ravel().tolist(), prediction.ravel().tolist(), strict=True)
        if gt != IGNORE_INDEX
    ]
    ious, accuracies, weights = [], [], []
    for name in (0, 1, 2, 3, 5):
        hits = sum(gt == pred == name for gt, pred in pixels)
        union = sum(name in (gt, pred) for gt, pred in pixels)
        size = sum(gt == name for gt, _ in pixels)
        ious.append(hits / union)
        accuracies.append(hits / size)
        weights.append(size / len(pixels))

    counts = sum_counts([sparse_counts(prediction, label, 6)], 6)

    assert counts.num_pixels == len(pixels)
    assert counts["miou"] == pytest.approx(sum(ious) / 5)
    assert counts["legacy_miou"] == pytest.approx(sum(ious) / 6)
    assert counts["mean_accuracy"] == pytest.approx(sum(accuracies) / 5)
    assert counts["pixel_accuracy"] == pytest.approx(sum(gt == pred for gt, pred in pixels) / len(pixels))
    expected = sum(weight * iou for weight, iou in zip(weights, ious, strict=True))
    assert counts["fwiou"] == pytest.approx(expected)


def test_scores_of_the_ground_truth_itself_are_all_exactly_one() -> None:
    label = np.random.default_rng(2).integers(0, 847, (100, 100)).astype(np.uint16)
    label[:10] = IGNORE_INDEX
    counts = sum_counts([sparse_counts(label, label, 847)], 847)

    assert counts["miou"] == counts["legacy_miou"] == counts["mean_accuracy"] == 1.0
    assert counts["pixel_accuracy"] == counts["fwiou"] == 1.0


def test_scores_of_a_constant_prediction_follow_its_share() -> None:
    counts = counted([0] * 3 + [1] * 5 + [255] * 4, [1] * 12)

    assert counts["miou"] == pytest.approx((0 + 5 / 8) / 2)
    assert counts["mean_accuracy"] == 0.5
    assert counts["pixel_accuracy"] == pytest.approx(5 / 8)


def test_scores_without_a_counted_pixel_are_nan() -> None:
    nothing = totals_of(np.zeros((3, 3), np.int64), seen=[True, False, True])

    assert all(math.isnan(score[0]) for score in scores_of(nothing).values())


def test_seen_and_unseen_miou_by_hand() -> None:
    matrix = np.diag([4, 2, 3, 0]) + np.array([[0, 4, 0, 0], [0] * 4, [0, 0, 0, 1], [0] * 4])
    # IoU: 4/8, 2/6, 3/4, and class 3 is only predicted
    totals = totals_of(matrix, seen=[True, True, False, False])

    assert totals["seen_miou"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert totals["unseen_miou"] == pytest.approx(3 / 4)
    assert totals["harmonic_miou"] == pytest.approx(2 / (12 / 5 + 4 / 3))


def test_harmonic_miou_of_two_zeros_is_zero() -> None:
    totals = totals_of([[0, 3], [2, 0]], seen=[True, False])

    assert [totals[name] for name in ("seen_miou", "unseen_miou", "harmonic_miou")] == [0.0, 0.0, 0.0]


def test_seen_miou_without_unseen_ground_truth_has_no_harmonic_mean() -> None:
    assert BY_HAND["seen_miou"] == BY_HAND["miou"]
    assert math.isnan(BY_HAND["unseen_miou"][0])
    assert math.isnan(BY_HAND["harmonic_miou"][0])


def test_scores_are_left_out_where_what_they_need_is_not_known() -> None:
    everything = replace(BY_HAND, beside=dict.fromkeys(get_args(Kind), BY_HAND.pixels))

    assert scores_of(everything).keys() == SCORES.keys()
    for change, needs in (({"seen": None}, "needs_seen"), ({"beside": {}}, "needs")):
        left_out = SCORES.keys() - scores_of(replace(everything, **change)).keys()
        assert left_out == {score.name for score in SCORES.values() if getattr(score, needs)}
    assert list(scores_of(BY_HAND, ["seen_miou", "miou"])) == ["seen_miou", "miou"]


def test_every_score_of_many_sets_is_that_of_each_set_alone() -> None:
    generator = np.random.default_rng(3)
    gt, wrong = generator.integers(0, 3, (2, 12, 40)) * generator.integers(0, 90, (2, 12, 40))
    hits = (gt * generator.random(gt.shape)).astype(np.int64)
    hallucinated, seen = generator.integers(0, 9, 40), generator.random(12) < 0.5

    def scores(sets: slice) -> dict[str, np.ndarray]:
        pixels = ClassPixels(hits[:, sets], gt[:, sets], (hits + wrong)[:, sets])
        beside = {
            kind: ClassPixels(hits[:, sets] // part, gt[:, sets] // 2, hits[:, sets])
            for part, kind in enumerate(get_args(Kind), start=3)
        }
        return scores_of(ClassTotals(5, pixels, hallucinated[sets], seen, beside))

    together = scores(slice(None))
    assert together.keys() == SCORES.keys()
    for name, values in together.items():
        alone = [scores(slice(index, index + 1))[name][0] for index in range(40)]
        np.testing.assert_allclose(values, alone, rtol=1e-14, err_msg=name)


def test_totals_added_do_not_change() -> None:
    one, other = counted([0, 1], [0, 0]), counted([1, 1], [1, 0])

    assert (one + other).num_pixels == 4
    assert (one.num_pixels, other.num_pixels) == (2, 2)


def test_totals_are_exact_beyond_the_precision_of_float64() -> None:
    large = totals_of([[2**53, 0], [0, 0]])

    assert (large + counted([0], [0])).num_pixels == 2**53 + 1


def test_totals_of_other_classes_are_not_added() -> None:
    with pytest.raises(ValueError, match="of 2 and of 3 classes"):
        counted([0], [0]) + counted([0], [0], 3)
