"""Paired comparison: by hand, its rate of false finds, its coverage, and that pairing helps."""

import numpy as np
import pytest

from ovlab.benchmarks.synthetic_counts import synthetic_runs
from ovlab.metrics.intervals import interval_about
from ovlab.metrics.paired import PairedDifference, compare_runs, p_value, superiority
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import resample
from ovlab.specs.errors import InputError

NUM_SETS = 200


def rows_of(counts: PerImageCounts, rows: np.ndarray) -> PerImageCounts:
    ids = tuple(str(position) for position in range(len(rows)))
    return PerImageCounts(ids, counts.hits[rows], counts.gt[rows], counts.pred[rows])


def exchanged(first: PerImageCounts, second: PerImageCounts, swap: np.ndarray) -> tuple[PerImageCounts, PerImageCounts]:
    """Both runs, with the results of the images in `swap` given to the other."""
    chosen = swap[:, None]
    return tuple(
        PerImageCounts(first.ids, np.where(chosen, b.hits, a.hits), first.gt, np.where(chosen, b.pred, a.pred))
        for a, b in ((first, second), (second, first))
    )


def improved(counts: PerImageCounts, share: float) -> PerImageCounts:
    """The same run with a share of what each class missed found after all."""
    found = ((counts.gt - counts.hits) * share).astype(np.int64)
    return PerImageCounts(counts.ids, counts.hits + found, counts.gt, counts.pred + found)


def test_superiority_counts_ties_by_half() -> None:
    assert superiority(np.array([0.1, 0.0, -0.1, 0.2])) == pytest.approx(0.625)


def test_p_value_is_twice_the_heavier_tail_at_the_distance_of_no_difference() -> None:
    # 0.1 away from 0.1: three resamples above, one below.
    differences = np.array([0.1] * 95 + [0.2, 0.25, 0.3, -0.05])

    assert p_value(0.1, differences) == pytest.approx(2 * (1 + 3) / 100)
    assert p_value(-0.1, -differences) == p_value(0.1, differences)


def test_p_value_of_a_clear_difference_is_the_smallest_that_can_be_seen() -> None:
    assert p_value(0.1, np.full(999, 0.1)) == pytest.approx(2 / 1000)


def test_p_value_is_below_5_percent_where_the_interval_leaves_out_zero() -> None:
    generator = np.random.default_rng(0)
    for centre in np.linspace(0.5, 3.5, 61).tolist():
        differences = generator.gamma(4.0, 0.5, 1999) - 2 + centre
        low = interval_about(centre, differences).low
        if abs(low) > 0.02:  # nearer to zero, the quantile between two resamples decides
            assert (p_value(centre, differences) < 0.05) == (low > 0)


def test_run_against_itself_differs_in_nothing() -> None:
    (counts,) = synthetic_runs(50, 10)

    for score in compare_runs(counts, counts).scores.values():
        assert (score.difference, score.interval) == (0.0, (0.0, 0.0))
        assert (score.superiority, score.p_value) == (0.5, 1.0)


def test_comparison_turned_round_is_mirrored() -> None:
    first, second = synthetic_runs(60, 10, num_runs=2)

    there, back = compare_runs(first, second).scores, compare_runs(second, first).scores

    for name, score in there.items():
        assert back[name].difference == -score.difference
        assert back[name].interval == pytest.approx((-score.interval.high, -score.interval.low))
        assert back[name].superiority == pytest.approx(1 - score.superiority)
        assert back[name].p_value == score.p_value


def test_order_of_the_images_does_not_matter() -> None:
    first, second = synthetic_runs(60, 10, num_runs=2)
    order = np.random.default_rng(0).permutation(60)
    shuffled = PerImageCounts(
        tuple(second.ids[row] for row in order), second.hits[order], second.gt[order], second.pred[order]
    )

    assert compare_runs(first, shuffled) == compare_runs(first, second)


def test_runs_on_other_images_are_refused_by_name() -> None:
    first, second = synthetic_runs(5, 4, num_runs=2)
    with pytest.raises(InputError, match=r"A lacks 1 \(000004\)"):
        compare_runs(
            PerImageCounts(first.ids[:4], first.hits[:4], first.gt[:4], first.pred[:4]), second, names=("A", "B")
        )


def test_score_without_classes_has_a_difference_of_nan_and_no_test() -> None:
    first, second = synthetic_runs(20, 4, num_runs=2)

    score = compare_runs(first, second, np.ones(4, bool)).scores["unseen_miou"]

    assert np.isnan(score.difference)
    assert (score.interval, score.superiority, score.p_value) == (None, None, None)


def test_small_gain_on_the_same_images_is_found_where_both_intervals_overlap() -> None:
    (first,) = synthetic_runs(200, 12, frequency_power=0.5)
    second = improved(first, 0.05)

    score = compare_runs(first, second).scores["miou"]

    samples = [resample(run) for run in (first, second)]
    alone = [interval_about(sample.full["miou"], sample.scores["miou"]) for sample in samples]
    assert alone[0].high > alone[1].low  # side by side, the two could be equal
    assert score.interval.low > 0
    assert score.p_value < 0.01
    assert score.superiority > 0.99


def test_exchangeable_runs_are_found_to_differ_in_5_percent_of_sets() -> None:
    generator = np.random.default_rng(0)
    first, second = synthetic_runs(5000, 12, num_runs=2, max_classes=6, frequency_power=0.5)
    scores = []
    for seed in range(NUM_SETS):
        rows = generator.integers(0, 5000, 80)
        runs = exchanged(rows_of(first, rows), rows_of(second, rows), generator.random(80) < 0.5)
        scores.append(compare_runs(*runs, num_resamples=250, seed=seed).scores["miou"])

    found = np.mean([score.p_value <= 0.05 for score in scores])
    assert found < 0.05 + 3 * (0.05 * 0.95 / NUM_SETS) ** 0.5
    assert found > 0  # an interval too wide would find nothing
    assert np.mean([holds(score, 0.0) for score in scores]) == pytest.approx(1 - found, abs=0.021)


def test_paired_interval_covers_the_difference_of_the_population() -> None:
    first, second = synthetic_runs(5000, 30, num_runs=2, max_classes=6, seed=1)
    iou = [run.hits.sum(axis=0) / (run.gt + run.pred - run.hits).sum(axis=0) for run in (first, second)]
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(NUM_SETS):
        rows = generator.integers(0, 5000, 100)
        score = compare_runs(rows_of(first, rows), rows_of(second, rows), num_resamples=250, seed=seed).scores["miou"]
        covered += holds(score, (iou[1] - iou[0])[first.gt[rows].sum(axis=0) > 0].mean())

    assert 0.95 - 3 * (0.95 * 0.05 / NUM_SETS) ** 0.5 < covered / NUM_SETS < 0.995


def holds(score: PairedDifference, truth: float) -> bool:
    assert score.interval is not None
    return score.interval.low <= truth <= score.interval.high
