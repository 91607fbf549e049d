"""Percentile intervals: by hand, and by how often they hold the truth on populations where it is known."""

import numpy as np
import pytest

from image_tables import tables_of
from ovlab.benchmarks.synthetic_counts import synthetic_runs
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.intervals import Interval, interval_about, within_0_and_1
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import Resamples, resample
from ovlab.specs.errors import InputError

NUM_SETS = 200
# Three standard errors of a share of 0.95 over as many sets.
LOWEST, HIGHEST = 0.95 - 3 * (0.95 * 0.05 / NUM_SETS) ** 0.5, 0.995


def test_interval_reaches_as_far_as_the_longer_side_of_the_percentiles() -> None:
    ramp = np.arange(101) / 100  # its middle 90 % are 0.05 .. 0.95

    assert interval_about(0.5, ramp, 0.9) == pytest.approx((0.05, 0.95))
    assert interval_about(0.4, ramp, 0.9) == pytest.approx((0.4 - 0.55, 0.4 + 0.55))
    assert interval_about(0.7, ramp, 0.9) == pytest.approx((0.7 - 0.65, 0.7 + 0.65))


def test_interval_leaves_out_resamples_without_a_score() -> None:
    assert interval_about(2.0, np.array([np.nan, 1.0, np.nan, 3.0]), 0.5) == pytest.approx((1.5, 2.5))
    assert interval_about(2.0, np.array([np.nan, np.nan])) is None


def test_interval_of_a_score_stays_a_fraction() -> None:
    images = [(str(index), SparseCounts(*(np.array(column) for column in ([0], [0], [9])))) for index in range(9)]
    images.append(("wrong", SparseCounts(*(np.array(column) for column in ([0], [1], [1])))))

    interval = interval_of(resample(tables_of(images, 2)), "pixel_accuracy")

    assert interval.high > 1.0  # 81 of 82 pixels, in some resamples all of them, and the middle is the score
    assert within_0_and_1(interval) == Interval(interval.low, 1.0)


def test_level_outside_of_0_and_1_is_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 1, got 95"):
        interval_about(1.0, np.ones(3), 95.0)


def test_interval_holds_its_score_and_shrinks_with_the_images() -> None:
    (many,) = synthetic_runs(1600, 10)
    quarter = drawn(many, np.arange(100))

    few_samples, many_samples = resample(quarter), resample(many)

    for name, value in many_samples.full.items():
        wide, narrow = interval_of(few_samples, name), interval_of(many_samples, name)
        assert narrow.low < value < narrow.high
        # Sixteen times the images: a quarter of the width.
        assert 2.5 < (wide.high - wide.low) / (narrow.high - narrow.low) < 6


def test_interval_of_equal_images_has_no_width() -> None:
    (counts,) = synthetic_runs(20, 10)

    samples = resample(drawn(counts, np.zeros(30, int)))

    assert interval_of(samples, "miou") == pytest.approx((samples.full["miou"], samples.full["miou"]))


def test_interval_with_common_classes_covers_the_truth() -> None:
    (population,) = synthetic_runs(5000, 12, max_classes=6, frequency_power=0.5, seed=1)

    for name, share in coverage(population, 80, ("miou", "pixel_accuracy", "hallucination_rate")).items():
        assert LOWEST < share["in use"] < HIGHEST, name


def test_interval_with_rare_classes_covers_the_truth_and_other_intervals_do_not() -> None:
    (population,) = synthetic_runs(5000, 60, max_classes=6, seed=3)

    share = coverage(population, 100, ("miou",))["miou"]

    assert LOWEST < share["in use"] < HIGHEST
    assert share["percentile"] < LOWEST
    assert share["reflected"] < LOWEST


def interval_of(samples: Resamples, name: str) -> Interval:
    interval = interval_about(samples.full[name], samples.scores[name])
    assert interval is not None
    return interval


def coverage(population: PerImageCounts, num_images: int, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Share of test sets whose interval holds the score of the population over the classes of the set: for the
    interval in use, the percentile interval, and the one reflected about the score ("basic")."""
    generator = np.random.default_rng(2)
    covered = {name: {"in use": 0.0, "percentile": 0.0, "reflected": 0.0} for name in names}
    for seed in range(NUM_SETS):
        test_set = drawn(population, generator.integers(0, population.num_images, num_images))
        samples = resample(test_set, num_resamples=250, seed=seed)
        for name in names:
            value, truth = samples.full[name], true_score(population, test_set, name)
            low, high = interval_about(value, samples.scores[name])
            covered[name]["in use"] += (low <= truth <= high) / NUM_SETS
            low, high = np.quantile(samples.scores[name], [0.025, 0.975])
            covered[name]["percentile"] += (low <= truth <= high) / NUM_SETS
            covered[name]["reflected"] += (low <= 2 * value - truth <= high) / NUM_SETS
    return covered


def true_score(population: PerImageCounts, test_set: PerImageCounts, name: str) -> float:
    if name == "pixel_accuracy":
        return population.hits.sum() / population.gt.sum()
    if name == "hallucination_rate":
        return population.hallucinated().sum() / population.gt.sum()
    iou = population.hits.sum(axis=0) / (population.gt + population.pred - population.hits).sum(axis=0)
    return iou[test_set.gt.sum(axis=0) > 0].mean()


def drawn(counts: PerImageCounts, rows: np.ndarray) -> PerImageCounts:
    """The images of these rows as a test set of its own, where an image may come twice."""
    ids = tuple(str(position) for position in range(len(rows)))
    return PerImageCounts(ids, counts.hits[rows], counts.gt[rows], counts.pred[rows])
