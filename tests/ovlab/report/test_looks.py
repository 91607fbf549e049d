"""ovlab.report.looks: which claims a look tests, at which level, and what it leaves to the next."""

from dataclasses import replace
from typing import Any

import pytest

from ovlab.metrics.sequential import nominal_levels
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.looks import Study, new_study, seeds_of, take_look
from ovlab.report.text import about_looks, look_rows, to_decide
from ovlab.specs.errors import InputError
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.specs.table import Claim, Table, Variation
from ovlab.store.look_record import write_looks

FULL, HALF, NONE = Variation(), Variation(model={"prior_weight": 0.5}), Variation(model={"prior_weight": 0.0})
EASE = [0.3 + 0.01 * index for index in range(20)]
# By which the seeds of a row differ.
ALIKE = (0.0, 0.002, 0.001, 0.0, 0.002)
APART = (0.0, 0.3, 0.1, 0.2, 0.05)


def measure(filled: Any, run: Variation, spreads: tuple[float, ...], gain: float = 0.0) -> None:
    for seed, spread in enumerate(spreads):
        filled.measure(run, [share + gain + spread for share in EASE], seed=seed)


def claim(better: str, worse: str) -> Claim:
    return Claim(text=f"{better} above {worse}", where="here", better=better, worse=(worse,))


@pytest.fixture
def claimed(table: Table) -> Table:
    """One claim that is sure with three seeds, one of which nothing is known, one that only the paper can test."""
    return replace(table, claims=(claim("full", "half"), claim("none", "half"), claim("full", "theirs")))


def looked(filled: Any, table: Table, number: int, study: Study | None = None) -> Study:
    study = study or new_study(table, SHAPES, filled.store, 5)
    after = take_look(study, study.open_claims, number, read_records(filled.store), filled.store)
    write_looks(filled.store, after.record)
    return after


def test_seeds_of_looks_are_those_of_the_table_first(table: Table) -> None:
    assert seeds_of(replace(table, seeds=(7, 1)), 5) == (7, 1, 0, 2, 3)
    assert seeds_of(replace(table, seeds=(7, 1)), 1) == (7,)


def test_claim_that_cannot_be_measured_has_no_share(filled: Any, claimed: Table) -> None:
    study = new_study(claimed, SHAPES, filled.store, 5)

    assert study.testable == (0, 1)
    assert new_study(claimed, PAPER, filled.store, 5).testable == (0, 1, 2)


def test_look_tests_at_what_is_spent_of_the_share_that_holms_correction_leaves(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, APART)

    first, second = looked(filled, claimed, 3).record.looks

    assert [first.verdict, second.verdict] == ["yes", "undecided"]
    assert first.significance == pytest.approx(0.05 / 2)
    # The other has all that the first one leaves.
    assert second.significance == pytest.approx(0.05)
    for look in (first, second):
        assert look.nominal == nominal_levels((3, 5), look.significance)[0]
        assert look.columns == {"PAS-20": look.verdict}
    (found,) = first.comparisons
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(0.1)


def test_claim_whose_runs_are_not_there_is_not_looked_at_and_keeps_its_share(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, APART[:2])

    study = looked(filled, claimed, 3)

    (look,) = study.record.looks
    assert (look.claim, look.significance) == (0, pytest.approx(0.05 / 2))
    assert study.open_claims == (1,)
    assert study.next_look(1) == 3


def test_row_of_a_decided_claim_keeps_its_seeds(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, ALIKE, 0.004)

    study = looked(filled, claimed, 3)

    assert study.open_claims == (1,)
    assert study.seeds_by_row == dict.fromkeys(("full", "half", "none"), (0, 1, 2))
    assert study.seeds_for((1,), 5) == {"full": (0, 1, 2), "half": (0, 1, 2, 3, 4), "none": (0, 1, 2, 3, 4)}


def test_claim_is_futile_where_the_planned_seeds_would_hardly_decide_it(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, (0.0, 0.02, -0.02, 0.0, 0.0))

    study = looked(filled, claimed, 3)

    look = study.record.looks[1]
    assert look.is_futile
    assert look.chance is not None
    assert look.chance < 0.1
    assert (study.state(0), study.state(1), study.state(2)) == ("decided", "futile", "not measured")
    (view,) = table_views([claimed], SHAPES, read_records(filled.store), filled.store)
    assert view.claims[1].verdict == "undecided"
    assert to_decide(view.claims[1]).startswith("futile: all planned seeds decide it in ")
    assert to_decide(view.claims[1]).endswith(" seeds of each row would")


def test_last_look_leaves_nothing_open_and_the_report_has_its_seeds(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, (*ALIKE, 0.5, 0.5), 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, ALIKE, 0.0045)
    study = looked(filled, claimed, 5, looked(filled, claimed, 3))

    assert study.open_claims == ()
    (view,) = table_views([claimed], SHAPES, read_records(filled.store), filled.store)

    assert [len(one.looks) for one in view.claims] == [1, 2, 0]
    assert view.planned_looks == (3, 5)
    assert "looks planned at 3 and 5 seeds of each row" in about_looks(view)
    assert [row[1] for row in look_rows(view)] == ["3", "3", "5"]
    # Looked at with three seeds, the first row is shown with three.
    cells = {row.key: row.cells[0] for part in view.parts for row in part.rows}
    num_seeds = {key: len(cell.runs) for key, cell in cells.items() if cell.origin == "measured"}
    assert num_seeds == {"full": 3, "half": 5, "none": 5}


def test_report_of_a_limited_run_knows_nothing_of_looks(filled: Any, claimed: Table) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, APART)
    looked(filled, claimed, 3)

    (view,) = table_views([claimed], SHAPES, read_records(filled.store), filled.store, limit_steps=2)

    assert view.planned_looks == ()
    assert not any(one.looks for one in view.claims)


def test_runs_that_were_replaced_are_named_and_decide_nothing(
    filled: Any, claimed: Table, caplog: pytest.LogCaptureFixture
) -> None:
    measure(filled, FULL, ALIKE, 0.1)
    measure(filled, HALF, ALIKE)
    measure(filled, NONE, APART)
    study = looked(filled, claimed, 3)
    # Another order of the seeds is other runs.
    moved = replace(claimed, seeds=(4, 3, 2))

    (view,) = table_views([moved], SHAPES, read_records(filled.store), filled.store)

    assert {one.verdict for one in view.claims} == {"not measured"}
    assert "'full above half' was looked at with other runs than the store has now" in caplog.text
    with pytest.raises(InputError, match="its look at 3 seeds stands on other runs than the store has now"):
        take_look(replace(study, table=moved), study.open_claims, 5, read_records(filled.store), filled.store)
