"""ovlab.report.claims: verdicts of differences whose size and noise are known by construction."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ovlab.report.claims import ClaimView, claim_views
from ovlab.report.samples import Samples
from ovlab.report.text import over_all_columns, to_decide, verdict_by_column
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


def measure(
    filled: Any, run: Variation, gain: float = 0.0, spreads: tuple[float, ...] = (0.0, 0.001, 0.002), **where: Any
) -> None:
    """A seed for each of `spreads`, by which it is better than the others."""
    for seed, spread in enumerate(spreads):
        filled.measure(run, [share + gain + spread for share in EASE], seed=seed, **where)


def test_constant_gain_on_varied_images_is_a_yes_although_the_intervals_overlap(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.02)
    measure(filled, HALF)

    (view,) = judged(filled, table, claim("full", "half"))

    (found,) = view.tested
    # Welch: 0.02 / sqrt(2 * 0.001^2 / 3) = 24.49 with 4 degrees of freedom; the images move both alike.
    assert (view.verdict, view.columns[0].verdict) == ("yes", "yes")
    assert found.difference == pytest.approx(0.02)
    assert found.p_value == pytest.approx(1.648e-5, rel=1e-3)
    assert found.seed_share == pytest.approx(1)
    assert over_all_columns(view) == "+2.0 ± 0.2 (seeds 100 %, 3 a side)"
    assert to_decide(view) == "—"


def test_claim_turned_round_is_a_no(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.02)
    measure(filled, HALF)

    (view,) = judged(filled, table, claim("half", "full"))

    assert view.verdict == "no"
    assert view.tested[0].difference == pytest.approx(-0.02)


def test_verdict_of_a_column_tells_the_advantage_over_the_strongest_row(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.03)
    measure(filled, HALF)
    measure(filled, NONE, 0.01)

    over_both, turned_round = judged(filled, table, claim("full", "half", "none"), claim("half", "full"))

    column = over_both.columns[0].column
    assert verdict_by_column(over_both) == f"yes: {column} +2.0"
    assert verdict_by_column(turned_round) == f"no: {column} −3.0"


def test_difference_inside_the_margin_is_not_relevant_even_where_it_is_certain(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.002, (0.0, 0.0001))
    measure(filled, HALF, 0.0, (0.0, 0.0001))

    (view,) = judged(filled, table, claim("full", "half"))
    (strict,) = judged(filled, replace(table, margin=0.1), claim("full", "half"))

    assert view.tested[0].p_value < 0.05
    assert (view.verdict, strict.verdict) == ("no relevant difference", "yes")


def test_one_seed_a_side_decides_nothing_and_asks_for_a_second(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.05, (0.0,))
    measure(filled, HALF, 0.0, (0.0,))

    (view,) = judged(filled, table, claim("full", "half"))

    assert (view.verdict, view.need) == ("undecided", None)
    assert to_decide(view) == "a second seed of each row"


def test_seeds_that_disagree_leave_a_clear_gain_over_images_undecided(filled: Any, table: Table) -> None:
    measure(filled, FULL, 0.0, (0.10, 0.02, 0.0))
    measure(filled, HALF, 0.0, (0.0, 0.05, 0.04))

    (view,) = judged(filled, table, claim("full", "half"))

    assert view.tested[0].difference == pytest.approx(0.01)
    assert view.verdict == "undecided"
    assert view.need > 10
    assert to_decide(view) == f"{view.need - 3} more seeds of each row"


def test_gain_that_comes_and_goes_from_image_to_image_is_limited_by_images(filled: Any, table: Table) -> None:
    for seed in range(2):
        filled.measure(FULL, [share + (0.11 if index % 2 else -0.1) for index, share in enumerate(EASE)], seed=seed)
    measure(filled, HALF, 0.0, (0.0, 0.0))

    (view,) = judged(filled, table, claim("full", "half"))

    assert view.tested[0].difference == pytest.approx(0.005)
    assert (view.verdict, view.need) == ("undecided", math.inf)
    assert to_decide(view) == "images are the limit: no number of seeds decides it"


def test_small_gains_of_one_sign_in_several_columns_are_evidence_together(filled: Any, table: Table) -> None:
    columns = tuple(Column(title=title, benchmark=title.lower()) for title in ("PAS-20", "PC-59", "A-150"))
    generator = np.random.default_rng(0)
    for column in columns:
        noise = generator.normal(size=(2, 5))
        noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, ddof=1, keepdims=True)
        measure(filled, FULL, 0.015, tuple(0.01 * noise[0]), benchmark=column.benchmark)
        measure(filled, HALF, 0.0, tuple(0.01 * noise[1]), benchmark=column.benchmark)

    (view,) = judged(filled, replace(table, columns=columns, seeds=tuple(range(5))), claim("full", "half"))

    assert {column.verdict for column in view.columns} == {"undecided"}
    assert view.tested[0].difference == pytest.approx(0.015, abs=5e-4)
    assert view.verdict == "yes"


def test_what_columns_have_in_common_is_no_evidence_twice(filled: Any, table: Table) -> None:
    columns = tuple(Column(title=title, benchmark=title.lower()) for title in ("PC-59", "PC-459"))
    up_and_down = [share + (0.11 if index % 2 else -0.1) for index, share in enumerate(EASE)]
    for column in columns:
        for seed in range(2):
            filled.measure(FULL, up_and_down, seed=seed, benchmark=column.benchmark)
        measure(filled, HALF, 0.0, (0.0, 0.0), benchmark=column.benchmark)

    (view,) = judged(filled, replace(table, columns=columns, seeds=(0, 1)), claim("full", "half"))

    alone = view.columns[0].comparisons[0].advantage
    assert view.tested[0].image_variance == pytest.approx(alone.image_variance)


def test_unequal_seeds_are_compared_with_what_there_is(filled: Any, table: Table) -> None:
    full, half = (0.0, 0.001, 0.002), (0.0, 0.002)
    measure(filled, FULL, 0.02, full)
    measure(filled, HALF, 0.0, half)

    (view,) = judged(filled, table, claim("full", "half"))

    expected = stats.ttest_ind([0.02 + spread for spread in full], half, equal_var=False)
    assert view.tested[0].p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert view.tested[0].num_seeds == 2


def test_row_without_a_run_is_not_measured(filled: Any, table: Table) -> None:
    measure(filled, FULL)

    missing, quoted = judged(filled, table, claim("full", "half"), claim("full", "theirs"))

    assert (missing.verdict, missing.need) == ("not measured", None)
    assert quoted.verdict == "not measured"  # the miniature is another quantity than the quoted figure
    assert (missing.published_holds, quoted.published_holds) == (None, True)


def test_claim_of_which_one_column_is_missing_is_not_measured_and_the_other_is(filled: Any, table: Table) -> None:
    columns = tuple(Column(title=title, benchmark=title.lower()) for title in ("PC-59", "PC-459"))
    measure(filled, FULL, 0.02, benchmark="pc-59")
    measure(filled, HALF, benchmark="pc-59")

    (view,) = judged(filled, replace(table, columns=columns), claim("full", "half"))

    assert view.verdict == "not measured"
    assert [column.verdict for column in view.columns] == ["yes", "not measured"]


def test_quoted_figure_is_held_against_the_noise_of_ours_in_the_paper_suite(filled: Any, table: Table) -> None:
    for seed in range(2):
        filled.measure(FULL, [0.95, 0.96, 0.97, 0.98] * 10, suite=PAPER, seed=seed)

    above, below = judged(filled, table, claim("full", "theirs"), claim("theirs", "full"), suite=PAPER)

    assert above.verdict == "yes"
    assert above.tested[0].difference == pytest.approx(0.065)
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
    measure(filled, FULL, 0.02)
    measure(filled, HALF)
    grid = filled.grid(replace(table, claims=(claim("full", "half"),)))

    (view,) = claim_views(grid, Samples(filled.store, ["hallucination_rate"], num_resamples=B))

    assert view.tested[0].difference == pytest.approx(0.02)
    assert view.verdict == "yes"
