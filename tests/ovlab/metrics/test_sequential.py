"""Boundaries of looks planned in advance, held against printed tables and against simulated motions."""

import numpy as np
import pytest
from scipy.special import ndtr

from ovlab.metrics.sequential import LOOKS, boundaries, nominal_levels, planned_looks, spent
from ovlab.specs.errors import InputError

# Reboussin, DeMets, Kim and Lan, Controlled Clinical Trials 21 (2000): two-sided 5 %, O'Brien-Fleming-like spending at
# equally spaced looks, as their program and SAS's SEQDESIGN print it.
PRINTED = {
    2: (2.963, 1.969),
    3: (3.710, 2.511, 1.993),
    4: (4.333, 2.963, 2.359, 2.014),
    5: (4.877, 3.357, 2.680, 2.290, 2.031),
}


@pytest.mark.parametrize("num_looks", PRINTED)
def test_boundaries_of_equally_spaced_looks_are_those_of_the_printed_tables(num_looks: int) -> None:
    shares = tuple((look + 1) / num_looks for look in range(num_looks))

    assert boundaries(shares, 0.05) == pytest.approx(PRINTED[num_looks], abs=6e-4)


def test_one_look_is_the_plain_test() -> None:
    assert nominal_levels((7,), 0.01) == pytest.approx((0.01,))


def test_error_of_all_looks_is_what_was_to_be_spent() -> None:
    generator = np.random.default_rng(0)
    shares = np.array(LOOKS) / LOOKS[-1]
    steps = np.sqrt(np.diff(shares, prepend=0))
    motions = np.cumsum(steps * generator.normal(size=(400_000, len(LOOKS))), axis=1) / np.sqrt(shares)
    crossed = np.abs(motions) > boundaries(tuple(shares), 0.1)

    for look, share in enumerate(shares):
        expected = spent(share, 0.1)
        assert crossed[:, : look + 1].any(axis=1).mean() == pytest.approx(expected, abs=4 * (0.09 / 400_000) ** 0.5)


def test_levels_rise_from_look_to_look_and_stay_below_the_level_of_all() -> None:
    levels = nominal_levels(LOOKS, 0.05)

    assert list(levels) == sorted(levels)
    assert levels[0] == pytest.approx(4 * ndtr(-5.78724), rel=1e-3)  # 2.24140 / sqrt(3 / 20)
    assert 0.04 < levels[-1] < 0.05


def test_looks_end_with_the_most_seeds_that_are_allowed() -> None:
    assert planned_looks(20) == LOOKS
    assert planned_looks(10) == (3, 5, 8, 10)
    assert planned_looks(2) == (2,)
    for number in (1, 0, -3, 10**9):
        with pytest.raises(InputError, match=f"--max-seeds must be in 2 .. 1000, got {number}"):
            planned_looks(number)


def test_look_so_early_that_nothing_is_to_be_spent_finds_nothing_and_costs_the_later_ones_nothing() -> None:
    early, late = nominal_levels((3, 1000), 0.01)

    assert early < 1e-50
    assert late == pytest.approx(0.01)
