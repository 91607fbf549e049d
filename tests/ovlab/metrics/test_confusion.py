"""The scores, computed by hand, and against their definitions written as loops over pixels."""

import math
from itertools import product

import numpy as np
import pytest

from ovlab.metrics.confusion import ConfusionCounts, count_pixels
from ovlab.metrics.counting import IGNORE_INDEX
from ovlab.specs.errors import InputError

# 0 and 1 are in the ground truth, 2 is only predicted, 3 is nowhere.
BY_HAND = ConfusionCounts(np.array([[6, 2, 0, 0], [0, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))


def confusion(label: list[int], prediction: list[int], num_classes: int = 2) -> ConfusionCounts:
    return count_pixels(np.array([prediction]), np.array([label]), num_classes, ignore_index=255)


def test_iou_is_zero_for_a_class_only_predicted_and_nan_for_one_nowhere() -> None:
    iou = BY_HAND.iou()

    np.testing.assert_allclose(iou[:3], [6 / 8, 3 / 6, 0.0])
    assert math.isnan(iou[3])


def test_scores_by_hand() -> None:
    assert BY_HAND.mean_iou() == pytest.approx((6 / 8 + 3 / 6) / 2)
    assert BY_HAND.legacy_mean_iou() == pytest.approx((6 / 8 + 3 / 6) / 3)
    assert BY_HAND.frequency_weighted_iou() == pytest.approx((8 * 6 / 8 + 4 * 3 / 6) / 12)
    assert BY_HAND.pixel_accuracy() == pytest.approx(9 / 12)
    assert BY_HAND.mean_accuracy() == pytest.approx((6 / 8 + 3 / 4) / 2)


def test_mean_iou_conventions_on_a_set_with_absent_classes_differ_by_the_denominator() -> None:
    # Like PC-459, where 345 of 459 classes have ground truth in val: here 345 classes of 10 pixels, 6 of them found,
    # the others predicted as one class each of the 114 absent ones, in turn, of which so 100 are predicted.
    counts = np.zeros((459, 459), np.int64)
    for gt in range(345):
        counts[gt, gt] = 6
        counts[gt, 345 + gt % 100] = 4
    found = ConfusionCounts(counts)

    assert found.mean_iou() == pytest.approx(0.6)  # 6 hits of a union of 10, for each of the 345
    assert found.legacy_mean_iou() == pytest.approx(0.6 * 345 / 445)


def test_mean_iou_conventions_agree_where_all_classes_have_ground_truth() -> None:
    counts = ConfusionCounts(np.random.default_rng(0).integers(1, 50, (7, 7)))

    assert counts.mean_iou() == counts.legacy_mean_iou()


def test_mean_iou_of_merged_shards_is_not_the_mean_of_shards() -> None:
    shards = [confusion([0, 0, 0, 1], [0, 0, 0, 0]), confusion([1, 1, 1, 255], [1, 1, 1, 0])]

    merged = shards[0] + shards[1]

    assert merged.mean_iou() == pytest.approx(0.75)  # both classes: 3 hits, union 4
    assert sum(shard.mean_iou() for shard in shards) / 2 == pytest.approx((0.375 + 1.0) / 2)


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

    counts = count_pixels(prediction, label, 6)

    assert counts.num_pixels == len(pixels)
    assert counts.mean_iou() == pytest.approx(sum(ious) / 5)
    assert counts.legacy_mean_iou() == pytest.approx(sum(ious) / 6)
    assert counts.mean_accuracy() == pytest.approx(sum(accuracies) / 5)
    assert counts.pixel_accuracy() == pytest.approx(sum(gt == pred for gt, pred in pixels) / len(pixels))
    expected = sum(weight * iou for weight, iou in zip(weights, ious, strict=True))
    assert counts.frequency_weighted_iou() == pytest.approx(expected)


def test_scores_of_the_ground_truth_itself_are_all_exactly_one() -> None:
    label = np.random.default_rng(2).integers(0, 847, (100, 100)).astype(np.uint16)
    label[:10] = IGNORE_INDEX
    counts = count_pixels(label, label, 847)

    assert counts.mean_iou() == counts.legacy_mean_iou() == counts.mean_accuracy() == 1.0
    assert counts.pixel_accuracy() == counts.frequency_weighted_iou() == 1.0


def test_scores_of_a_constant_prediction_follow_its_share() -> None:
    counts = confusion([0] * 3 + [1] * 5 + [255] * 4, [1] * 12)

    assert counts.mean_iou() == pytest.approx((0 + 5 / 8) / 2)
    assert counts.mean_accuracy() == 0.5
    assert counts.pixel_accuracy() == pytest.approx(5 / 8)


def test_scores_without_a_counted_pixel_are_nan() -> None:
    nothing = ConfusionCounts.empty(3)

    scores = [nothing.mean_iou(), nothing.legacy_mean_iou(), nothing.mean_accuracy(), nothing.pixel_accuracy()]
    scores += [nothing.frequency_weighted_iou(), *nothing.seen_unseen_mean_iou(np.array([True, False, True]))]
    assert all(math.isnan(score) for score in scores)


def test_seen_and_unseen_mean_iou_by_hand() -> None:
    counts = ConfusionCounts(np.diag([4, 2, 3, 0]) + np.array([[0, 4, 0, 0], [0] * 4, [0, 0, 0, 1], [0] * 4]))
    # IoU: 4/8, 2/6, 3/4, and class 3 is only predicted
    seen, unseen, harmonic = counts.seen_unseen_mean_iou(np.array([True, True, False, False]))

    assert seen == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert unseen == pytest.approx(3 / 4)
    assert harmonic == pytest.approx(2 / (12 / 5 + 4 / 3))


def test_harmonic_mean_of_two_zeros_is_zero() -> None:
    counts = ConfusionCounts(np.array([[0, 3], [2, 0]]))

    assert counts.seen_unseen_mean_iou(np.array([True, False])) == (0.0, 0.0, 0.0)


def test_seen_mean_iou_without_unseen_ground_truth_has_no_harmonic_mean() -> None:
    seen, unseen, harmonic = BY_HAND.seen_unseen_mean_iou(np.array([True, True, False, False]))

    assert seen == BY_HAND.mean_iou()
    assert math.isnan(unseen)
    assert math.isnan(harmonic)


def test_merge_does_not_change_what_it_merges() -> None:
    one, other = confusion([0, 1], [0, 0]), confusion([1, 1], [1, 0])

    assert (one + other).num_pixels == 4
    assert (one.num_pixels, other.num_pixels) == (2, 2)


def test_merge_is_exact_beyond_the_precision_of_float64() -> None:
    large = ConfusionCounts(np.array([[2**53, 0], [0, 0]]))
    one = confusion([0], [0])

    assert (large + one).num_pixels == 2**53 + 1


def test_merge_of_other_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="of 2 and of 3 classes"):
        ConfusionCounts.empty(2).merge(ConfusionCounts.empty(3))


@pytest.mark.parametrize(("label", "prediction"), list(product([0, 1], [2, -1])))
def test_count_pixels_prediction_out_of_range_is_refused(label: int, prediction: int) -> None:
    with pytest.raises(InputError, match=f"prediction {prediction} at row 0, column 0 is outside 0 .. 1"):
        confusion([label], [prediction])


def test_count_pixels_without_classes_is_refused() -> None:
    with pytest.raises(InputError, match="number of classes"):
        confusion([0], [0], num_classes=0)
