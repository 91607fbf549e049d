"""What the first lines of a report say of its tables."""

from typing import Any

from ovlab.metrics.verdict import Verdict
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.result import Result, result_of
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Table, Variation


def result_in(filled: Any, table: Table) -> Result:
    (view,) = table_views([table], SHAPES, read_records(filled.store), filled.store)
    return result_of([view], view)


def test_result_of_an_empty_store_has_no_figure_and_the_command_that_makes_them(filled: Any, table: Table) -> None:
    result = result_in(filled, table)

    assert (result.num_measured, result.benchmarks, result.methods) == (0, (), ())
    assert result.command.startswith("ovlab run mine --suite shapes --store ")
    assert not result.decided


def test_result_shows_rows_and_columns_with_a_figure_and_names_the_other_rows(filled: Any, table: Table) -> None:
    filled.measure(Variation(), [0.8, 0.7, 0.9])

    result = result_in(filled, table)

    (part,) = result.methods
    assert [row.key for row in part.rows] == ["full"]
    assert [column.benchmark for column in part.columns] == ["shapes-pas-20"]
    assert result.num_measured == 1
    assert result.missing == ("Half", "None")


def test_result_counts_every_claim_once_and_lists_those_that_are_decided(filled: Any, table: Table) -> None:
    for seed in (0, 1, 2):
        filled.measure(Variation(), [0.9 + 0.001 * seed] * 40, seed=seed)
        filled.measure(Variation(model={"prior_weight": 0.5}), [0.4 + 0.001 * seed] * 40, seed=seed)

    result = result_in(filled, table)

    assert sum(number for _, number in result.verdicts) == len(table.claims)
    decided: set[Verdict] = {"yes", "no", "no relevant difference"}
    assert len(result.decided) == sum(number for verdict, number in result.verdicts if verdict in decided)
