"""`ovlab bench tables`: all five tables, and the site, from a store full of runs.

The store is synthetic, of the shapes suite, with the classes and as many images as its benchmarks have, and without
pictures, which are only copied. Each step is a process of its own that has loaded its modules. CPU time says more than
the clock on a machine that others use.
"""

import argparse
import tempfile
from pathlib import Path

from ovlab.benchmarks.child_process import measure_in_child
from ovlab.benchmarks.outcome import Report
from ovlab.benchmarks.synthetic_store import fill
from ovlab.report.assembly import table_views
from ovlab.report.cells import Records, read_records
from ovlab.report.formats import FORMATS, write_tables
from ovlab.report.site import write_site
from ovlab.report.table_view import TableView
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Table
from ovlab.specs.table_file import load_table
from ovlab.store.store import Store, open_store

_TABLES = ("table1", "table2", "table3", "table4", "table5")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=100, help="trainings in the store (default: 100)")


def run(arguments: argparse.Namespace) -> Report:
    """Time the tables alone, then tables and site."""
    with tempfile.TemporaryDirectory() as temporary:
        out, store = Path(temporary), open_store(f"{temporary}/store")
        fill(out / "store", _tables(), arguments.runs)
        measure_in_child(_write_tables, store, out)  # what Numba compiles stays on disk
        measured = {
            "five tables": measure_in_child(_write_tables, store, out),
            "five tables and the site": measure_in_child(_write_tables_and_site, store, out),
        }
        evaluations = sum(1 for _ in store.evaluations())
    return Report(
        name="tables",
        title="A report from a store",
        rows=[
            {
                "what": name,
                "seconds": found.seconds,
                "CPU seconds": found.cpu_seconds,
                "peak MiB": found.peak_bytes / 2**20,
            }
            for name, found in measured.items()
        ],
        context={"trainings": arguments.runs, "evaluations": evaluations, "suite": SHAPES.name},
    )


def _tables() -> list[Table]:
    return [load_table(name) for name in _TABLES]


def _write_tables(store: Store, out: Path) -> tuple[Records, tuple[TableView, ...]]:
    records = read_records(store)
    views = table_views(_tables(), SHAPES, records, store)
    write_tables(views, out / "tables", FORMATS)
    return records, views


def _write_tables_and_site(store: Store, out: Path) -> None:
    records, views = _write_tables(store, out)
    write_site(views, records, store, out)
