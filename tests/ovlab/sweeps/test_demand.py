"""ovlab.sweeps.demand: what several cells need is asked for once."""

from dataclasses import replace

import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import with_boundary, with_oracles
from ovlab.specs.suite import PAPER, SHAPES
from ovlab.specs.table import SIX_BENCHMARKS, CellName, Column, Row, Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.sweeps.demand import demands

FULL, HALF = Variation(model={"prior_weight": 1.0}), Variation(model={"prior_weight": 0.5})


def table(name: str, runs: dict[str, Variation], **changes: object) -> Table:
    rows = tuple(Row(key=key, label=key, run=run) for key, run in runs.items())
    return Table(**{"name": name, "title": name, "rows": rows, "columns": SIX_BENCHMARKS[:1], **changes})


def test_demands_of_equal_rows_and_tables_are_one_with_all_their_cells() -> None:
    tables = [table("a", {"full": FULL, "half": HALF, "same": Variation()}), table("b", {"depth": Variation()})]

    full, half = demands(tables, SHAPES)

    assert (full.spec, half.spec.model.prior_weight) == (SHAPES.training(), 0.5)
    ((benchmark, split, protocol), cells), *others = full.evaluations.items()
    assert not others
    assert (benchmark, split, protocol) == ("shapes-a-847", "val", SHAPES.protocol())
    assert cells == [
        CellName("a", "full", "A-847", 0),
        CellName("a", "same", "A-847", 0),
        CellName("b", "depth", "A-847", 0),
    ]


def test_demands_of_two_scores_on_one_benchmark_are_one_evaluation() -> None:
    columns = (SIX_BENCHMARKS[0], Column(title="A-847 unseen", benchmark="a-847", score="unseen_miou"))

    (demand,) = demands([table("a", {"full": FULL}, columns=columns)], SHAPES)

    (cells,) = demand.evaluations.values()
    assert [cell.column for cell in cells] == ["A-847", "A-847 unseen"]


def test_demands_of_a_folder_and_of_two_of_its_splits_are_evaluations_of_their_own() -> None:
    columns = (
        SIX_BENCHMARKS[0],
        Column(title="Val", benchmark="photographs/street"),
        Column(title="Test", benchmark="photographs/street", split="test"),
    )

    (demand,) = demands([table("a", {"full": FULL}, columns=columns)], SHAPES)

    assert [key[:2] for key in demand.evaluations] == [("shapes-a-847", "val"), ("street", "val"), ("street", "test")]


def test_demands_of_a_boundary_score_are_evaluations_that_count_boundaries() -> None:
    columns = (*SIX_BENCHMARKS[:2], Column(title="near", benchmark="a-847", score="boundary_iou"))

    (demand,) = demands([table("a", {"full": FULL}, columns=columns)], SHAPES)

    near, plain = demand.evaluations.items()
    assert near[0] == ("shapes-a-847", "val", with_boundary(SHAPES.protocol()))
    assert [cell.column for cell in near[1]] == ["A-847", "near"]
    assert plain[0] == ("shapes-pc-459", "val", SHAPES.protocol())


def test_demands_of_a_method_under_its_own_protocol_are_an_evaluation_more_and_of_others_none() -> None:
    columns = (SIX_BENCHMARKS[2], Column(title="own", benchmark="a-150", protocol="own"))

    ours, theirs = demands([table("a", {"ours": FULL, "theirs": Variation(method="san")}, columns=columns)], SHAPES)

    (cells,) = ours.evaluations.values()
    assert [cell.column for cell in cells] == ["A-150", "own"]
    common, own = (protocol for _, _, protocol in theirs.evaluations)
    assert (common.inference, common.synonyms) == (SHAPES.protocol().inference, "first")
    assert (own.inference, own.synonyms) == (SHAPES.protocol(own="san").inference, "joined")
    assert common.prompt_templates == own.prompt_templates == theirs.spec.model.prompt_templates


def test_demands_of_gap_scores_ask_both_oracles_in_the_one_evaluation_of_their_benchmark() -> None:
    columns = (
        *SIX_BENCHMARKS[:2],
        Column(title="told", benchmark="a-847", score="classes_oracle_miou"),
        Column(title="confused", benchmark="a-847", score="confusion_gap"),
    )

    (demand,) = demands([table("a", {"full": FULL}, columns=columns)], SHAPES)

    told, plain = demand.evaluations.items()
    assert told[0] == ("shapes-a-847", "val", with_oracles(SHAPES.protocol(), ["classes", "regions"]))
    assert [cell.column for cell in told[1]] == ["A-847", "told", "confused"]
    assert plain[0] == ("shapes-pc-459", "val", SHAPES.protocol())


def test_demands_make_all_of_one_seed_before_the_next() -> None:
    tables = [table("a", {"full": FULL, "half": HALF}, seeds=(0, 1)), table("b", {"half": HALF}, seeds=(1, 2))]

    found = [(demand.spec.seed, demand.spec.model.prior_weight) for demand in demands(tables, SHAPES)]

    assert found == [(0, 1.0), (0, 0.5), (1, 1.0), (1, 0.5), (2, 0.5)]


def test_demands_given_seeds_go_before_those_of_the_tables() -> None:
    assert [demand.spec.seed for demand in demands([table("a", {"full": FULL})], SHAPES, seeds=(7, 8))] == [7, 8]


def test_demands_limited_are_other_trainings_and_a_large_limit_is_none() -> None:
    tables = [table("a", {"warm": Variation(schedule={"warmup_steps": 10})})]

    (limited,), (unlimited,), (plain,) = (demands(tables, SHAPES, limit_steps=limit) for limit in (5, 10**9, None))

    assert (limited.spec.schedule.steps, limited.spec.schedule.warmup_steps) == (5, 4)
    assert limited.spec != plain.spec == unlimited.spec


def with_own_rows(table: Table) -> Table:
    """Without those of other methods, which wait for their learning rates."""
    rows = tuple(row for row in table.rows if isinstance(row.run, Variation) and row.run.method is None)
    return replace(table, rows=rows, claims=(), notes=())


def test_demands_of_the_five_tables_share_their_runs() -> None:
    tables = [with_own_rows(load_table(f"table{number}")) for number in range(1, 6)]

    wanted = demands(tables, PAPER, seeds=(0,))

    # 4 backbones, 3 modules less, 2 components less, 2 depths, 6 of lambda and grid, 2 training sets.
    assert len(wanted) == 4 + 3 + 2 + 2 + 6 + 2
    assert {len(demand.evaluations) for demand in wanted} == {6}
    cells = [cell for demand in wanted for cells in demand.evaluations.values() for cell in cells]
    assert len(cells) == len(set(cells)) == 6 * sum(row.run is not None for table in tables for row in table.rows)


@pytest.mark.parametrize(
    ("tables", "options", "words"),
    [
        ([table("a", {"x": Variation(model={"prior": 1})})], {}, "a, row 'x'.*no such field"),
        ([table("a", {"x": FULL}), table("a", {"y": FULL})], {}, "one name"),
        ([table("a", {"x": FULL})], {"seeds": (1, 1)}, "--seeds: seeds: 1 is there twice"),
        ([table("a", {"x": FULL})], {"limit_steps": 0}, "--limit-steps must be at least 1"),
        ([table("a", {"x": FULL}, columns=(Column(title="?", benchmark="a-151"),))], {}, "row 'x'.*nearest is 'a-150'"),
    ],
)
def test_demands_that_cannot_be_met_are_refused(tables: list[Table], options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        demands(tables, SHAPES, **options)
