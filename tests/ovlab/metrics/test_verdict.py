"""Verdicts, what they take and their correction, of differences whose noise is written down; by hand and simulated."""

import math

import numpy as np
import pytest
from scipy import stats

from ovlab.metrics.crossed import CrossedDifference, Spread
from ovlab.metrics.verdict import (
    Verdict,
    chance,
    detectable,
    seeds_needed,
    step_down,
    verdict_above_all,
    verdict_of,
)

MARGIN = 0.005


def images(difference: float, error: float = 0.001) -> CrossedDifference:
    """Of what has no noise but that of images."""
    return CrossedDifference(difference=difference, spreads=(Spread(1, 0.0),) * 2, image_variance=error**2)


def seeds(difference: float, deviation: float, num_seeds: int, image_error: float = 0.0) -> CrossedDifference:
    spreads = (Spread(num_seeds, deviation**2),) * 2
    return CrossedDifference(difference=difference, spreads=spreads, image_variance=image_error**2)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (0.0, "no relevant difference"),
        (0.003, "no relevant difference"),  # 0.003 + 0.00196 < 0.005
        (0.0031, "yes"),
        (0.1, "yes"),
        (-0.003, "no relevant difference"),
        (-0.0031, "no"),
    ],
)
def test_verdict_follows_from_the_interval_and_the_margin(difference: float, verdict: Verdict) -> None:
    assert verdict_of(images(difference), MARGIN, 0.05) == verdict


def test_wide_interval_is_undecided_and_unknown_noise_is_not_measured_or_undecided() -> None:
    assert verdict_of(images(0.01, 0.006), MARGIN, 0.05) == "undecided"
    unknown = CrossedDifference(difference=0.1, spreads=(Spread(3, 1e-6),) * 2, image_variance=None)
    single = CrossedDifference(difference=0.1, spreads=(Spread(1, None), Spread(3, 1e-6)), image_variance=1e-6)
    assert verdict_of(unknown, MARGIN, 0.05) == "not measured"
    assert verdict_of(single, MARGIN, 0.05) == "undecided"


def test_best_of_all_takes_every_yes_and_one_against_it_is_tested_at_its_share() -> None:
    up, down, level, wide = images(0.01), images(-0.01), images(0.0), images(0.0, 0.1)
    assert verdict_above_all([up, up], MARGIN, 0.05) == "yes"
    assert verdict_above_all([up, wide], MARGIN, 0.05) == "undecided"
    assert verdict_above_all([up, level], MARGIN, 0.05) == "no relevant difference"
    assert verdict_above_all([wide, level, down], MARGIN, 0.05) == "no"
    # -2.1 standard errors are enough alone and not as one of two.
    assert verdict_above_all([images(-0.021, 0.01)], MARGIN, 0.05) == "no"
    assert verdict_above_all([up, images(-0.021, 0.01)], MARGIN, 0.05) == "undecided"


def test_step_down_is_holms_correction() -> None:
    # Two-sided p-values 0.012, 0.02, 0.04 and 0.3: held against 0.05 / 4, / 3, / 2, / 1.
    def judge(p_value: float):
        return lambda level: "yes" if p_value <= level else "undecided"

    found = step_down([judge(p) for p in (0.04, 0.012, 0.3, 0.016)], 0.05)
    assert [one.verdict for one in found] == ["undecided", "yes", "undecided", "yes"]
    assert [one.significance for one in found] == pytest.approx([0.05 / 2, 0.05 / 4, 0.05 / 2, 0.05 / 3])
    assert {one.verdict for one in step_down([judge(p) for p in (0.02, 0.012, 0.04)], 0.05)} == {"yes"}
    assert step_down([], 0.05) == []


def test_claims_that_are_not_looked_at_keep_their_share() -> None:
    (found,) = step_down([lambda level: "yes" if level >= 0.02 else "undecided"], 0.05, num_others=2)

    assert found == ("undecided", pytest.approx(0.05 / 3))


def test_detectable_difference_is_that_of_the_t_test() -> None:
    # Four seeds a side with sd 0.01: error sqrt(2 / 4) 0.01, 6 degrees of freedom; half of the power at the quantile.
    expected = stats.t.ppf(0.975, 6) * 0.01 * math.sqrt(0.5)

    assert detectable(seeds(0.0, 0.01, 2), 4, significance=0.05, power=0.5) == pytest.approx(expected)


def test_seeds_needed_are_the_fewest_that_reach_the_observed_effect() -> None:
    found = seeds(0.02, 0.01, 3)

    need = seeds_needed(found, MARGIN, significance=0.05)

    assert detectable(found, need, significance=0.05) <= 0.02 < detectable(found, need - 1, significance=0.05)


def test_seeds_needed_for_no_relevant_difference_follow_from_the_room_to_the_margin() -> None:
    found = seeds(0.001, 0.002, 3)

    need = seeds_needed(found, MARGIN, significance=0.05)

    assert detectable(found, need, significance=0.05) <= 0.004 < detectable(found, need - 1, significance=0.05)


@pytest.mark.parametrize("image_error", [0.0, 0.0005])
def test_seeds_needed_beyond_a_thousand_are_a_number_and_not_the_limit_of_images(image_error: float) -> None:
    found = seeds(0.0026, 0.05, 3, image_error)

    need = seeds_needed(found, MARGIN, significance=0.05)

    assert 1000 < need < math.inf
    assert detectable(found, need, significance=0.05) == pytest.approx(0.0026, rel=1e-4)


def test_images_can_be_the_limit_and_a_single_seed_says_nothing() -> None:
    assert seeds_needed(seeds(0.01, 0.001, 3, image_error=0.01), MARGIN, significance=0.05) == math.inf
    single = CrossedDifference(difference=0.1, spreads=(Spread(1, None),) * 2, image_variance=1e-6)
    assert seeds_needed(single, MARGIN, significance=0.05) is None
    assert chance([single], MARGIN, 20, significance=0.05) is None


def test_chance_is_what_comes_of_seeds_drawn_to_the_end() -> None:
    # Eight paired seeds are there, of 20; the images move the difference by 0.001 for good.
    found = CrossedDifference(difference=0.004, spreads=(Spread(8, 0.01**2),), image_variance=0.001**2)
    generator = np.random.default_rng(0)
    truth = 0.004 + 0.01 / math.sqrt(8) * generator.normal(size=200_000)
    last = (8 * 0.004 + 12 * (truth + 0.01 / math.sqrt(12) * generator.normal(size=len(truth)))) / 20
    error = math.hypot(0.01 / math.sqrt(20), 0.001)
    share = 0.01**2 / 20 / error**2
    reach = stats.t.ppf(0.975, 19 / share**2) * error
    decided = (np.abs(last) > reach) | (np.abs(last) < MARGIN - reach)

    assert chance([found], MARGIN, 20, significance=0.05) == pytest.approx(decided.mean(), abs=0.005)


def test_chance_is_certain_where_nothing_is_to_come() -> None:
    assert chance([images(0.01)], MARGIN, 20, significance=0.05) == 1.0
    assert chance([images(0.001)], MARGIN, 20, significance=0.05) == 1.0
    assert chance([images(0.01, 0.006)], MARGIN, 20, significance=0.05) == 0.0


def test_chance_against_several_is_that_of_the_one_that_is_hardest_to_be_above() -> None:
    sure, hopeless, below = images(0.01), images(0.01, 0.006), images(-0.02)

    assert chance([sure, hopeless], MARGIN, 20, significance=0.05) == 0.0
    assert chance([sure, hopeless, below], MARGIN, 20, significance=0.05) == 1.0
