"""Means and intervals over seeds, worked out by hand with the quantiles of printed t tables."""

import math

import pytest

from ovlab.metrics.seeds import summarise_seeds
from ovlab.specs.errors import InputError


def test_three_seeds_give_mean_sd_and_t_interval() -> None:
    summary = summarise_seeds({0: 0.30, 1: 0.32, 2: 0.34})

    reach = 4.302653 * 0.02 / math.sqrt(3)  # t table: 2 degrees of freedom, 97.5 %
    assert summary.mean == pytest.approx(0.32)
    assert summary.sd == pytest.approx(0.02)
    assert summary.interval == pytest.approx((0.32 - reach, 0.32 + reach))
    assert summary.mark is None


def test_every_run_is_shown_in_the_order_of_its_seed() -> None:
    assert list(summarise_seeds({7: 0.2, 0: 0.4, 3: 0.3}).runs.items()) == [(0, 0.4), (3, 0.3), (7, 0.2)]


def test_two_seeds_have_a_spread_a_mark_and_no_interval() -> None:
    summary = summarise_seeds({0: 0.30, 1: 0.34})

    assert summary.sd == pytest.approx(0.04 / math.sqrt(2))
    assert (summary.interval, summary.mark) == (None, "2 runs")


def test_one_seed_has_a_mark_and_no_spread() -> None:
    summary = summarise_seeds({5: 0.3})

    assert (summary.mean, summary.sd, summary.interval, summary.mark) == (0.3, None, None, "1 run")


def test_no_run_and_run_without_a_score_are_refused() -> None:
    with pytest.raises(InputError, match="at least one seed"):
        summarise_seeds({})
    with pytest.raises(InputError, match="seed 4 has no score"):
        summarise_seeds({4: math.nan})
