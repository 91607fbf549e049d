"""The test with both noises: by hand, against loops in float64, its coverage, and that sharing images helps."""

import math

import numpy as np
import pytest
from scipy import stats

from ovlab.benchmarks.synthetic_counts import synthetic_runs
from ovlab.metrics.class_totals import scores_of
from ovlab.metrics.crossed import Side, Spread, crossed_difference, difference_of
from ovlab.metrics.intervals import interval_about
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import draw_weights, resample
from ovlab.specs.errors import InputError

# Two resamples, half of whose distance is 1.96 of it by the interval of the bootstrap: 0.95 of the way from the middle.
UP_AND_DOWN = np.array([1.0, -1.0]) * stats.norm.ppf(0.975) / 0.95


def rows_of(counts: PerImageCounts, rows: np.ndarray) -> PerImageCounts:
    ids = tuple(str(position) for position in range(len(rows)))
    return PerImageCounts(ids, counts.hits[rows], counts.gt[rows], counts.pred[rows])


def improved(counts: PerImageCounts, share: float) -> PerImageCounts:
    """The same run with a share of what each class missed found after all."""
    found = ((counts.gt - counts.hits) * share).astype(np.int64)
    return PerImageCounts(counts.ids, counts.hits + found, counts.gt, counts.pred + found)


def seeds_of(*runs: PerImageCounts) -> dict[int, PerImageCounts]:
    return dict(enumerate(runs))


def side(*scores: float, moved: float = 0.0, is_trained: bool = True) -> Side:
    """Seeds 0, 1 .. whose scores `moved` up or down with the images, all alike."""
    return Side(dict(enumerate(scores)), (moved * np.tile(UP_AND_DOWN, (len(scores), 1)),), is_trained)


def test_without_noise_of_images_it_is_welchs_test() -> None:
    first, second = [0.30, 0.33, 0.31], [0.35, 0.36, 0.39, 0.35]

    found = difference_of(side(*first), side(*second), level=0.9)

    expected = stats.ttest_ind(second, first, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.9)))
    assert found.freedom == pytest.approx(expected.df)
    assert (found.seed_share, found.image_share) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_variances_of_seeds_and_images_add_up_and_images_bring_no_degrees() -> None:
    # s^2 = 8e-4 and 2e-4, two seeds a side: 4e-4 + 1e-4; images 0.01^2 = 1e-4; so V = 6e-4,
    # and V^2 / ((4e-4)^2 / 1 + (1e-4)^2 / 1) = 36 / 17.
    found = difference_of(side(0.30, 0.34), side(0.40, 0.42, moved=0.01))

    reach = stats.t.ppf(0.975, 36 / 17) * math.sqrt(6e-4)
    assert found.difference == pytest.approx(0.09)
    assert found.freedom == pytest.approx(36 / 17)
    assert found.interval == pytest.approx((0.09 - reach, 0.09 + reach))
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.09 / math.sqrt(6e-4), 36 / 17))
    assert (found.seed_share, found.image_share) == (pytest.approx(5 / 6), pytest.approx(1 / 6))


def test_what_is_not_trained_has_images_alone_for_noise() -> None:
    found = difference_of(side(0.3, is_trained=False), side(0.32, moved=0.01, is_trained=False))

    assert found.knows_seeds
    assert found.p_value == pytest.approx(2 * stats.norm.sf(2))
    assert (found.seed_share, found.image_share) == (0.0, 1.0)


def test_single_training_leaves_the_noise_of_seeds_unknown() -> None:
    found = difference_of(side(0.3), side(0.32, 0.33, moved=0.01))

    assert not found.knows_seeds
    assert (found.seed_share, found.image_share) == (None, None)


def test_several_sets_of_photographs_are_independent() -> None:
    sides = [side(0.3, 0.3), side(0.4, 0.4, moved=0.03), side(0.4, 0.4, moved=0.04)]
    still = Side(sides[0].scores, 2 * sides[0].deviations)

    assert difference_of(
        still, Side(sides[1].scores, sides[1].deviations + sides[2].deviations)
    ).error == pytest.approx(0.05)


def test_from_eight_common_seeds_on_it_is_the_test_of_pairs() -> None:
    first = [0.30, 0.33, 0.31, 0.36, 0.29, 0.34, 0.32, 0.30]
    second = [0.31, 0.35, 0.31, 0.38, 0.31, 0.34, 0.35, 0.31]

    found = difference_of(side(*first), side(*second))

    expected = stats.ttest_rel(second, first)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(7)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_pairs_are_of_one_seed_whatever_their_order_and_who_else_is_there() -> None:
    first = {3: 0.30, 1: 0.33, 4: 0.31, 0: 0.36, 2: 0.29, 5: 0.34, 6: 0.32, 8: 0.3, 9: 0.9}
    second = {seed: score + 0.01 for seed, score in sorted(first.items()) if seed != 9} | {7: 0.1}
    moved = 0.02 * UP_AND_DOWN
    sides = [Side(scores, (np.outer([seed + 1.0 for seed in scores], moved),)) for scores in (first, second)]

    found = difference_of(*sides)

    assert found.difference == pytest.approx(0.01)
    assert found.seed_variance == pytest.approx(0, abs=1e-20)
    assert found.image_variance == pytest.approx(0, abs=1e-20)  # each pair moves alike


def test_noise_of_images_that_a_pair_has_of_its_own_is_counted_once() -> None:
    own = 0.01 * np.outer([1, -1, 2, -2, 3, -3, 4, -4], UP_AND_DOWN)
    pairs = difference_of(
        Side(dict.fromkeys(range(8), 0.3), (np.zeros_like(own),)), Side(dict.fromkeys(range(8), 0.3), (own,))
    )

    assert pairs.image_variance == 0.0


def test_without_any_noise_a_difference_is_certain_and_none_is_none() -> None:
    assert difference_of(side(0.3, 0.3), side(0.3, 0.3)).p_value == 1.0
    certain = difference_of(side(0.3, 0.3), side(0.4, 0.4))
    assert certain.p_value == 0.0
    assert certain.interval == pytest.approx((0.1, 0.1))


def test_counts_give_what_loops_over_seeds_images_and_classes_give() -> None:
    runs = synthetic_runs(12, 5, num_runs=5, seed=3)
    weights = np.concatenate(draw_weights(12, 40, 0), axis=1)

    found = crossed_difference(seeds_of(*runs[:2]), seeds_of(*runs[2:]), "miou", num_resamples=40)

    def miou(run: PerImageCounts, times: np.ndarray) -> float:
        shares = []
        for n in range(run.num_classes):
            hits, gt, pred = (
                sum(float(times[i]) * float(table[i, n]) for i in range(12)) for table in (run.hits, run.gt, run.pred)
            )
            if gt > 0:
                shares.append(hits / (gt + pred - hits))
        return sum(shares) / len(shares)

    sides = [runs[:2], runs[2:]]
    scores = [[miou(run, np.ones(12)) for run in side] for side in sides]
    # By seed, how far each resample moves it.
    moved = [
        [[miou(run, w) - score for w in weights.T] for run, score in zip(*one, strict=True)]
        for one in zip(sides, scores, strict=True)
    ]
    means = [[sum(seed[b] for seed in side) / len(side) for b in range(40)] for side in moved]
    low, high = np.quantile([there - here for here, there in zip(*means, strict=True)], [0.025, 0.975])
    images = (max(high, -low) / stats.norm.ppf(0.975)) ** 2
    for side, mean in zip(moved, means, strict=True):
        own = [sum((seed[b] - mean[b]) ** 2 for seed in side) / (len(side) - 1) for b in range(40)]
        images -= sum(own) / 40 / len(side)
    seeds = [sum((x - np.mean(side)) ** 2 for x in side) / (len(side) - 1) / len(side) for side in scores]
    variance = sum(seeds) + max(images, 0)
    assert found.difference == pytest.approx(np.mean(scores[1]) - np.mean(scores[0]))
    assert found.image_variance == pytest.approx(max(images, 0))
    assert [spread.of_mean for spread in found.spreads] == pytest.approx(seeds)
    assert found.freedom == pytest.approx(variance**2 / (seeds[0] ** 2 / 1 + seeds[1] ** 2 / 2))


def test_noise_of_images_that_is_a_seeds_own_is_counted_once() -> None:
    # What resamples do to one seed they undo in the other: nothing of it is shared, and the scores tell of it already.
    moved = 0.01 * np.stack([UP_AND_DOWN, -UP_AND_DOWN])
    first = Side({0: 0.3, 1: 0.32}, (moved,))

    assert first.own_variance == pytest.approx((2 * (0.01 * UP_AND_DOWN) ** 2).mean() / 2)
    assert difference_of(first, side(0.3, 0.3)).image_variance == 0.0


def test_run_against_itself_differs_in_nothing() -> None:
    (counts,) = synthetic_runs(50, 10)

    found = crossed_difference(seeds_of(counts, counts), seeds_of(counts, counts), "miou")

    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_comparison_turned_round_is_mirrored() -> None:
    runs = synthetic_runs(60, 10, num_runs=4)

    there = crossed_difference(seeds_of(*runs[:2]), seeds_of(*runs[2:]), "fwiou")
    back = crossed_difference(seeds_of(*runs[2:]), seeds_of(*runs[:2]), "fwiou")

    assert back.difference == -there.difference
    assert back.interval == pytest.approx((-there.interval.high, -there.interval.low))
    assert back.p_value == pytest.approx(there.p_value)


def test_order_of_the_images_does_not_matter() -> None:
    first, second = synthetic_runs(60, 10, num_runs=2)
    order = np.random.default_rng(0).permutation(60)
    shuffled = PerImageCounts(
        tuple(second.ids[row] for row in order), second.hits[order], second.gt[order], second.pred[order]
    )

    assert crossed_difference({0: first}, {0: shuffled}, "miou") == crossed_difference({0: first}, {0: second}, "miou")


def test_runs_on_other_images_and_a_side_without_runs_are_refused() -> None:
    first, second = synthetic_runs(5, 4, num_runs=2)
    fewer = PerImageCounts(first.ids[:4], first.hits[:4], first.gt[:4], first.pred[:4])
    with pytest.raises(InputError, match=r"seed 3 of the second side lacks 1 \(000004\)"):
        crossed_difference({0: first}, {2: second, 3: fewer}, "miou")
    with pytest.raises(InputError, match="the second side has no run"):
        crossed_difference({0: first}, {}, "miou")
    with pytest.raises(InputError, match=r"level must be between 0 and 1, got 1\.0"):
        crossed_difference({0: first}, {0: second}, "miou", level=1.0)


def test_score_without_classes_has_a_difference_of_nan_and_no_test() -> None:
    first, second = synthetic_runs(20, 4, num_runs=2)

    found = crossed_difference({0: first}, {0: second}, "unseen_miou", seen=np.ones(4, bool))

    assert np.isnan(found.difference)
    assert (found.interval, found.p_value, found.image_variance) == (None, None, None)


def test_class_that_all_resamples_lack_is_no_noise_and_no_error() -> None:
    # A class of one image in 400 is absent from about a third of resamples; 3 resamples with the seed of all lack it.
    runs = []
    for share in (50, 60):
        gt, hits = np.zeros((400, 2), np.int64), np.zeros((400, 2), np.int64)
        gt[:, 0], hits[:, 0] = 100, share
        lacking = np.flatnonzero(~np.concatenate(draw_weights(400, 3, 0), axis=1).any(axis=1))[0]
        gt[lacking], hits[lacking] = (0, 100), (0, share)
        runs.append(PerImageCounts(tuple(map(str, range(400))), hits, gt, hits))

    found = crossed_difference({0: runs[0], 1: runs[0]}, {0: runs[1], 1: runs[1]}, "miou", num_resamples=3)

    assert scores_of(runs[0].of_images())["miou"].mean() == pytest.approx(0.5)
    assert found.difference == pytest.approx(0.1)
    assert found.image_variance == pytest.approx(0, abs=1e-20)


def test_small_gain_on_the_same_images_is_found_where_both_intervals_overlap() -> None:
    (first,) = synthetic_runs(200, 12, frequency_power=0.5)
    second = improved(first, 0.05)

    found = crossed_difference(seeds_of(first, first), seeds_of(second, second), "miou")

    samples = [resample(run) for run in (first, second)]
    alone = [interval_about(sample.full["miou"], sample.scores["miou"]) for sample in samples]
    assert alone[0].high > alone[1].low  # side by side, the two could be equal
    assert found.interval.low > 0
    assert found.p_value < 0.01


def test_paired_interval_covers_the_difference_of_the_population() -> None:
    first, second = synthetic_runs(5000, 30, num_runs=2, max_classes=6, seed=1)
    iou = [run.hits.sum(axis=0) / (run.gt + run.pred - run.hits).sum(axis=0) for run in (first, second)]
    generator = np.random.default_rng(0)
    covered, num_sets = 0, 200
    for _ in range(num_sets):
        rows = generator.integers(0, 5000, 100)
        sides = ({0: rows_of(run, rows)} for run in (first, second))
        interval = crossed_difference(*sides, "miou", num_resamples=250).interval
        covered += interval.low <= (iou[1] - iou[0])[first.gt[rows].sum(axis=0) > 0].mean() <= interval.high

    assert 0.95 - 3 * (0.95 * 0.05 / num_sets) ** 0.5 < covered / num_sets < 0.995


def test_spread_of_a_mean_is_that_of_one_run_over_their_number() -> None:
    assert Spread(4, 8.0).of_mean == 2.0
    assert Spread(1, None).of_mean == 0.0
