"""Resampled scores are those of an evaluation of the drawn images: by hand, and against that evaluation."""

import math

import numpy as np
import pytest

from image_tables import tables_of
from ovlab.metrics.counting import SparseCounts, sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import draw_weights, resample
from ovlab.metrics.summary import summary
from ovlab.specs.errors import InputError


def counted(label: list[int], prediction: list[int], num_classes: int = 2) -> SparseCounts:
    return sparse_counts(np.array([prediction]), np.array([label]), num_classes)


def two_images() -> PerImageCounts:
    """Class 0 is only in image a, with IoU 1/2; class 1 only in image b, with IoU 1."""
    return tables_of([("a", counted([0, 0], [0, 1])), ("b", counted([1, 1, 1], [1, 1, 1]))], 2)


def test_weights_of_every_resample_add_up_to_the_images() -> None:
    blocks = draw_weights(37, 600, 1)

    weights = np.concatenate(blocks, axis=1)
    assert weights.shape == (37, 600)
    np.testing.assert_array_equal(weights.sum(axis=0), np.full(600, 37))


def test_weights_are_multinomial() -> None:
    weights = np.concatenate(draw_weights(50, 4000, 0), axis=1).astype(float)

    # Mean 1, variance 1 - 1 / I, covariance - 1 / I, within five standard errors.
    assert np.abs(weights.mean(axis=1) - 1).max() < 5 / math.sqrt(4000)
    assert weights.var(axis=1).mean() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert np.cov(weights[:2])[0, 1] == pytest.approx(-1 / 50, abs=5 / math.sqrt(4000))


def test_scores_of_two_images_are_those_of_the_three_possible_resamples() -> None:
    samples = resample(two_images(), num_resamples=2000)

    # a twice: only class 0 is there. Both: IoU 1/2 and 3/4. b twice: only class 1 is there.
    assert samples.full["miou"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    found, times = np.unique(samples.scores["miou"], return_counts=True)
    np.testing.assert_allclose(found, [1 / 2, (1 / 2 + 3 / 4) / 2, 1.0])
    np.testing.assert_allclose(times / 2000, [1 / 4, 1 / 2, 1 / 4], atol=0.05)


def test_legacy_miou_of_a_resample_counts_a_class_that_is_only_predicted() -> None:
    samples = resample(two_images(), num_resamples=200)

    # a twice: class 1 is predicted there, so the sum 1/2 is divided by two.
    np.testing.assert_allclose(np.unique(samples.scores["legacy_miou"]), [1 / 4, 5 / 8, 1.0])


def test_absent_classes_are_counted_against_the_full_set() -> None:
    samples = resample(two_images(), num_resamples=2000)

    one_class = samples.scores["miou"] != 5 / 8
    np.testing.assert_array_equal(samples.num_absent, one_class.astype(int))
    assert samples.mean_absent == pytest.approx(1 / 2, abs=0.05)


def test_class_that_the_full_set_lacks_is_not_absent_from_a_resample() -> None:
    counts = tables_of([("a", counted([0], [2], 4)), ("b", counted([0], [0], 4))], 4)

    assert resample(counts, num_resamples=50).mean_absent == 0


@pytest.mark.parametrize("num_classes", [5, 40])
def test_resampled_scores_agree_with_evaluating_the_drawn_images(num_classes: int) -> None:
    generator = np.random.default_rng(num_classes)
    images = []
    for index in range(15):
        label = generator.choice(generator.integers(0, num_classes, 3), (5, 6)).astype(np.uint16)
        wrong = generator.integers(0, num_classes, (5, 6)).astype(np.uint16)
        prediction = np.where(generator.random((5, 6)) < 0.6, label, wrong)
        images.append((str(index), sparse_counts(prediction, label, num_classes)))
    seen = generator.random(num_classes) < 0.5
    names = [str(index) for index in range(num_classes)]

    samples = resample(tables_of(images, num_classes), seen, num_resamples=300, seed=3)

    weights = np.concatenate(draw_weights(15, 300, 3), axis=1)
    for draw in (0, 1, 249, 250, 299):  # both sides of a border between blocks
        drawn = [image for (_, image), times in zip(images, weights[:, draw], strict=True) for _ in range(times)]
        expected = summary(sum_counts(drawn, num_classes), names, seen)
        for name, scores in samples.scores.items():
            assert scores[draw] == pytest.approx(math.nan if expected[name] is None else expected[name], nan_ok=True)
    expected = summary(sum_counts([image for _, image in images], num_classes), names, seen)
    assert samples.full == pytest.approx({name: expected[name] for name in samples.full})


def test_equal_seeds_give_equal_scores_and_other_seeds_others() -> None:
    counts = two_images()

    once = resample(counts, num_resamples=100, seed=7).scores["pixel_accuracy"]
    draw_weights.cache_clear()

    np.testing.assert_array_equal(once, resample(counts, num_resamples=100, seed=7).scores["pixel_accuracy"])
    assert (once != resample(counts, num_resamples=100, seed=8).scores["pixel_accuracy"]).any()


def test_more_resamples_begin_with_the_same_ones() -> None:
    few, many = (np.concatenate(draw_weights(9, num, 0), axis=1) for num in (300, 700))

    np.testing.assert_array_equal(few[:, :250], many[:, :250])


def test_resample_without_a_class_to_average_is_nan() -> None:
    seen = np.array([True, False])

    unseen = resample(two_images(), seen, num_resamples=200).scores["unseen_miou"]

    assert np.isnan(unseen).any()
    np.testing.assert_allclose(np.unique(unseen[~np.isnan(unseen)]), [3 / 4, 1.0])


def test_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        resample(tables_of([("a", counted([0], [0]))], 2))


def test_no_resample_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        resample(two_images(), num_resamples=0)
