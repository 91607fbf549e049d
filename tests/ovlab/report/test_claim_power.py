"""What claims take, of a claim whose noise is written down."""

import math

import pytest

from ovlab.metrics.crossed import CrossedDifference, Spread
from ovlab.metrics.verdict import detectable, seeds_needed
from ovlab.report.claim_power import claim_power
from ovlab.report.claims import ClaimView, ComparisonView


def claim(*found: CrossedDifference) -> ClaimView:
    comparisons = tuple(ComparisonView(worse=f"row {number}", advantage=one) for number, one in enumerate(found))
    return ClaimView(
        text="it helps",
        where="here",
        better="ours",
        worse=tuple(view.worse for view in comparisons),
        verdict="undecided",
        comparisons=comparisons,
        columns=(),
        published_holds=None,
        margin=0.005,
        need=None,
    )


def found(difference: float, image_error: float = 0.0, num_seeds: int = 3) -> CrossedDifference:
    spreads = (Spread(num_seeds, 1e-4 if num_seeds > 1 else None),) * 2
    return CrossedDifference(difference=difference, spreads=spreads, image_variance=image_error**2)


def test_claim_takes_what_its_hardest_comparison_takes_at_its_share_of_the_significance() -> None:
    easy, hard = found(0.03), found(0.02)

    power = claim_power(claim(easy, hard), 3, 4, 0.9, {"ours": 100.0, "row 0": 50.0, "row 1": 20.0})

    assert power.need == seeds_needed(hard, 0.005, significance=0.05 / 4, power=0.9) > 3
    assert power.margin == detectable(hard, 3, significance=0.05 / 4, power=0.9)
    assert power.seconds == pytest.approx((power.need - 3) * 170.0)


def test_more_power_takes_more_seeds() -> None:
    needs = [claim_power(claim(found(0.02)), 3, 1, power, {}).need for power in (0.5, 0.8, 0.99)]

    assert needs == sorted(set(needs))


def test_images_as_the_limit_have_no_hours_and_one_seed_says_nothing() -> None:
    limited = claim_power(claim(found(0.005, 0.01)), 3, 1, 0.8, {"ours": 1.0, "row 0": 1.0})
    assert (limited.need, limited.seconds) == (math.inf, None)
    single = claim_power(claim(found(0.02, num_seeds=1)), 1, 1, 0.8, {"ours": 1.0, "row 0": 1.0})
    assert (single.margin, single.need, single.seconds) == (None, None, None)


def test_speed_that_was_not_measured_gives_no_hours() -> None:
    assert claim_power(claim(found(0.02)), 3, 1, 0.8, {"ours": 1.0}).seconds is None
