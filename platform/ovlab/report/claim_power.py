"""What the claims of a table can be told with so many seeds, how many they take, and how long those would train."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ovlab.metrics.verdict import SIGNIFICANCE, Verdict, detectable, seeds_needed
from ovlab.report.claims import ClaimView


class ClaimPower(NamedTuple):
    """margin: the difference, as a fraction, that `num_seeds` a side tell from zero, or from the margin of the table.
    need: the seeds that decide the claim if its difference is the observed one, infinite where images are the limit.
    seconds: of the trainings and evaluations that are not there yet. None where too little was measured to say."""

    text: str
    verdict: Verdict
    num_seeds: int
    margin: float | None
    need: int | float | None
    seconds: float | None


def claim_power(
    claim: ClaimView, num_seeds: int, num_claims: int, power: float, seconds_of_row: Mapping[str, float]
) -> ClaimPower:
    """At the share of the significance that the claim has while none of `num_claims` is decided; against several rows
    that of the hardest. seconds_of_row: of a run that is to be made."""
    significance = SIGNIFICANCE / num_claims
    is_known = len(claim.tested) == len(claim.worse) and all(one.knows_seeds for one in claim.tested)
    margins = [detectable(one, num_seeds, significance=significance, power=power) for one in claim.tested]
    needs = [seeds_needed(one, claim.margin, significance=significance, power=power) for one in claim.tested]
    known_margins = [margin for margin in margins if margin is not None]
    known_needs = [need for need in needs if need is not None]
    need = max(known_needs) if is_known and len(known_needs) == len(needs) else None
    rows = (claim.better, *claim.worse)
    seconds = None
    if need is not None and need < math.inf and all(row in seconds_of_row for row in rows):
        have = min(one.num_seeds for one in claim.tested)
        seconds = max(0, need - have) * sum(seconds_of_row[row] for row in rows)
    return ClaimPower(
        claim.text,
        claim.verdict,
        num_seeds,
        max(known_margins) if is_known and len(known_margins) == len(margins) else None,
        need,
        seconds,
    )
