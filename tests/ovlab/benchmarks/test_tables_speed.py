"""The store that the benchmark fills is one that a report can be made of."""

import argparse

from ovlab.benchmarks import tables_speed as tables
from ovlab.benchmarks.synthetic_store import fill
from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.specs.suite import SHAPES
from ovlab.specs.table_file import load_table
from ovlab.store.store import open_store


def test_filled_store_gives_figures_and_intervals_in_the_rows_of_a_table(tmp_path) -> None:
    store, table = open_store(str(tmp_path / "store")), load_table("table5")
    fill(tmp_path / "store", [table], 4)  # one more than the table has

    records = read_records(store)
    (view,) = table_views([table], SHAPES, records, store)

    assert len(records.trainings) == 4
    measured = [cell for row in view.parts[1].rows for cell in row.cells]
    assert all(cell.origin == "measured" and cell.image_interval is not None for cell in measured)
    assert not any(cell.missing_seeds for cell in measured)


def test_benchmark_measures_tables_and_site() -> None:
    parser = argparse.ArgumentParser()
    tables.add_arguments(parser)

    report = tables.run(parser.parse_args(["--runs", "1"]))

    assert [row["what"] for row in report.rows] == ["five tables", "five tables and the site"]
    assert report.context["evaluations"] == 6
