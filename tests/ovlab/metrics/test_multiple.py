"""Holm's correction, worked out by hand."""

import pytest

from ovlab.metrics.multiple import holm


def test_holm_multiplies_by_the_number_of_comparisons_left() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1; the last may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_keeps_ties_equal() -> None:
    assert holm([0.5, 0.5, 0.5]) == (1.0, 1.0, 1.0)
    assert holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])


def test_holm_of_one_comparison_changes_nothing_and_of_none_is_empty() -> None:
    assert holm([0.03]) == (0.03,)
    assert holm([]) == ()


def test_holm_lies_between_the_value_and_bonferroni() -> None:
    values = [0.001, 0.2, 0.013, 0.04, 0.9, 0.02]
    for value, adjusted in zip(values, holm(values), strict=True):
        assert value <= adjusted <= min(1.0, len(values) * value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_p_value(value: float) -> None:
    with pytest.raises(ValueError, match=r"must be in 0 \.\. 1"):
        holm([0.5, value])
