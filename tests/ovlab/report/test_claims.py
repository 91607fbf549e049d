"""ovlab.report.claims: verdicts of differences whose size and noise are known by construction."""

from dataclasses import replace
from typing import Any

import pytest

from ovlab.report.claims import ClaimView, claim_views, combined
from ovlab.report.samples import Samples
from ovlab.report.text import verdict_by_column
from ovlab.specs.suite import PAPER, SHAPES, Suite
from ovlab.specs.table import Claim, Column, Table, Variation

FULL, HALF, NONE = Variation(), Variation(model={"prior_weight": 0.5}), Variation(model={"prior_weight": 0.0})
B = 999

# Forty images that are easy and hard alike for every model.
EASE = [0.3 + 0.01 * index for index in range(40)]


def claim(better: str, *worse: str, columns: tuple[str, ...] = ()) -> Claim:
    return Claim(text=f"{better} is best", where="here", better=better, worse=worse, columns=columns)


def judged(filled: Any, table: Table, *claims: Claim, suite: Suite = SHAPES) -> tuple[ClaimView, ...]:
    grid = filled.grid(replace(table, claims=claims), suite)
    return claim_views(grid, Samples(filled.store, num_resamples=B))


def test_constant_gain_on_varied_images_is_a_yes_although_the_intervals_overlap(filled: Any, table: Table) -> None:
    filled.measure(FULL, [share + 0.01 for share in EASE])
    filled.measure(HALF, EASE)

    (view,) = judged(filled, table, claim("full", "half"))

    (comparison,) = view.columns[0].comparisons
    assert view.verdict == "yes"
    assert comparison.advantage.value == pytest.approx(0.01)
    assert comparison.advantage.image_interval == pytest.approx((0.01, 0.01))
    assert comparison.p_value == 2 / (B + 1)  # no resample reaches as far as no difference; one comparison
    assert view.noise == "images only"


def test_verdict_of_a_column_tells_the_advantage_over_the_strongest_row(filled: Any, table: Table) -> None:
    filled.measure(FULL, [share + 0.03 for share in EASE])
    filled.measure(HALF, EASE)
    filled.measure(NONE, [share + 0.01 for share in EASE])

    over_both, turned_round = judged(filled, table, claim("full", "half", "none"), claim("half", "full"))

    column = over_both.columns[0].column
    assert verdict_by_column(over_both) == f"yes: {column} +2.0"
    assert verdict_by_column(turned_round) == f"no: {column} −3.0"


def test_claim_turned_round_is_a_no(filled: Any, table: Table) -> None:
    filled.measure(FULL, [share + 0.01 for share in EASE])
    filled.measure(HALF, EASE)

    (view,) = judged(filled, table, claim("half", "full"))

    assert view.verdict == "no"
    assert view.columns[0].comparisons[0].advantage.value == pytest.approx(-0.01)


def test_gain_that_comes_and_goes_from_image_to_image_is_within_noise(filled: Any, table: Table) -> None:
    filled.measure(FULL, [share + (0.11 if index % 2 else -0.1) for index, share in enumerate(EASE)])
    filled.measure(HALF, EASE)

    (view,) = judged(filled, table, claim("full", "half"))

    assert view.columns[0].comparisons[0].advantage.value == pytest.approx(0.005)
    assert view.verdict == "within noise"


def test_holm_counts_every_comparison_of_the_table_once(filled: Any, table: Table) -> None:
    for run, gain in ((FULL, 0.02), (HALF, 0.01), (NONE, 0.0)):
        filled.measure(run, [share + gain for share in EASE])

    first, second = judged(filled, table, claim("full", "half", "none"), claim("full", "half"))

    # Two comparisons, of which the second claim repeats one.
    assert [view.p_value for view in first.columns[0].comparisons] == [2 * 2 / (B + 1)] * 2
    assert second.columns[0].comparisons[0].p_value == 2 * 2 / (B + 1)
    assert (first.verdict, second.verdict) == ("yes", "yes")


def test_seeds_that_disagree_keep_a_clear_gain_over_images_within_noise(filled: Any, table: Table) -> None:
    for seed, full, half in ((0, 0.10, 0.0), (1, 0.02, 0.05), (2, 0.0, 0.04)):
        filled.measure(FULL, [share + full for share in EASE], seed=seed)
        filled.measure(HALF, [share + half for share in EASE], seed=seed)

    (view,) = judged(filled, table, claim("full", "half"))

    found = view.columns[0].comparisons[0].advantage
    assert found.value == pytest.approx(0.01)
    assert found.image_interval == pytest.approx((0.01, 0.01))  # over images there is no doubt
    assert found.image_p_value == 2 / (B + 1)
    assert found.seed_interval.low < 0 < found.seed_interval.high
    assert found.seed_p_value > 0.5
    assert (view.verdict, view.noise) == ("within noise", "images and seeds")


def test_seeds_that_agree_bear_out_the_claim(filled: Any, table: Table) -> None:
    for seed, spread in enumerate((0.0, 0.001, 0.002)):
        filled.measure(FULL, [share + 0.02 + spread for share in EASE], seed=seed)
        filled.measure(HALF, [share + spread for share in EASE], seed=seed)

    (view,) = judged(filled, table, claim("full", "half"))

    # Welch: 0.02 / sqrt(2 * 0.001^2 / 3) = 24.49 with 4 degrees of freedom, two-sided.
    assert view.columns[0].comparisons[0].advantage.seed_p_value == pytest.approx(1.648e-5, rel=1e-3)
    assert (view.verdict, view.noise) == ("yes", "images and seeds")


def test_row_without_a_run_is_not_measured(filled: Any, table: Table) -> None:
    filled.measure(FULL, EASE)

    missing, quoted = judged(filled, table, claim("full", "half"), claim("full", "theirs"))

    assert (missing.verdict, missing.noise) == ("not measured", None)
    assert quoted.verdict == "not measured"  # the miniature is another quantity than the quoted figure
    assert (missing.published_holds, quoted.published_holds) == (None, True)


def test_quoted_figure_is_held_against_the_images_of_ours_in_the_paper_suite(filled: Any, table: Table) -> None:
    filled.measure(FULL, [0.95, 0.96, 0.97, 0.98] * 10, suite=PAPER)

    above, below = judged(filled, table, claim("full", "theirs"), claim("theirs", "full"), suite=PAPER)

    assert (above.verdict, above.noise) == ("yes", "images only")
    assert above.columns[0].comparisons[0].advantage.value == pytest.approx(0.065)
    assert below.verdict == "no"


def test_damaged_counts_leave_the_noise_unknown_and_name_the_evaluation(
    filled: Any, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    filled.measure(FULL, EASE)
    record = filled.measure(HALF, EASE)
    (shard,) = (filled.path / "evaluations" / record.fingerprint / "counts").iterdir()
    shard.write_bytes(b"damaged")

    (view,) = judged(filled, table, claim("full", "half"))

    assert view.verdict == "not measured"
    assert record.fingerprint in caplog.text


def test_less_hallucination_is_better(filled: Any, table: Table) -> None:
    table = replace(table, columns=(Column(title="H", benchmark="pas-20", score="hallucination_rate"),))
    filled.measure(FULL, [share + 0.01 for share in EASE])
    filled.measure(HALF, EASE)
    grid = filled.grid(replace(table, claims=(claim("full", "half"),)))

    (view,) = claim_views(grid, Samples(filled.store, ["hallucination_rate"], num_resamples=B))

    assert view.columns[0].comparisons[0].advantage.value == pytest.approx(0.01)
    assert view.verdict == "yes"


def test_verdicts_over_columns_are_combined_by_the_weakest() -> None:
    assert combined(["yes", "yes"]) == "yes"
    assert combined(["yes", "within noise"]) == "within noise"
    assert combined(["within noise", "not measured", "yes"]) == "not measured"
    assert combined(["not measured", "no", "yes"]) == "no"
