"""`ovlab report`: the tables from the store, as text for a terminal, a paper or a spreadsheet, and as pages."""

import argparse
import shutil
import sys
from pathlib import Path

from ovlab.commands.count_option import require_at_least_one
from ovlab.commands.store_option import add_store
from ovlab.specs.suite import SUITES, suite_named

_FORMATS = ("markdown", "latex", "html", "csv")

_EPILOG = """\
examples:
  ovlab report table4                                the table on the terminal; in a pipe, as Markdown
  ovlab report --out report                          all tables in all formats, and the pages: report/index.html
  ovlab report table1 --suite paper --format latex   for a paper
  ovlab report experiments/my_table.py --store s3://bucket/store --out report

A figure is quoted, measured here, or missing; a missing one is a dash. An empty store gives what is quoted. Records
that cannot be read are named on stderr and count as missing. Figures that mean different things are refused in one
column (exit code 2).
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="render tables from the store",
        description="Render tables from the store: quoted and measured figures, intervals, and which claims hold.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "tables",
        nargs="*",
        metavar="TABLE",
        help="table1 .. table5, or the file of one of your own (default: all of the suite)",
    )
    parser.add_argument("--suite", default="shapes", choices=sorted(SUITES), help="default: shapes, the miniature")
    add_store(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write files: the tables, and pages that open without a server"
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="this one only (default: drawn on a terminal, markdown in a pipe, everything into FOLDER)",
    )
    parser.add_argument("--limit-steps", type=int, metavar="N", help="the figures of `ovlab run` with the same limit")
    parser.add_argument("--limit-images", type=int, metavar="N", help="the figures of `ovlab run` with the same limit")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.report.assembly import table_views
    from ovlab.report.cells import read_records
    from ovlab.report.formats import FORMATS, write_tables
    from ovlab.report.site import write_site
    from ovlab.report.terminal import terminal
    from ovlab.specs.table_file import load_table
    from ovlab.store.store import open_store

    require_at_least_one(arguments, "--limit-steps", "--limit-images")
    suite, store = suite_named(arguments.suite), open_store(arguments.store)
    records = read_records(store)
    names = list(dict.fromkeys(arguments.tables or suite.tables))
    # The pages begin with it.
    has_methods = arguments.out is not None and arguments.format is None and not arguments.tables
    behind = [suite.methods] if has_methods and suite.methods not in names else []
    views = table_views(
        [load_table(name) for name in (*names, *behind)],
        suite,
        records,
        store,
        limit_steps=arguments.limit_steps,
        limit_images=arguments.limit_images,
    )
    methods = next((view for view in views if has_methods and view.name == suite.methods), None)
    views = views[: len(names)]
    if arguments.out is None and arguments.format is None and sys.stdout.isatty():
        print(terminal(views, width=shutil.get_terminal_size().columns), end="")
        return 0
    if arguments.out is None:
        print(FORMATS[arguments.format or "markdown"].render(views), end="")
        return 0
    formats = _FORMATS if arguments.format is None else (arguments.format,)
    for path in write_tables(views, arguments.out / "tables", formats):
        print(path)
    if arguments.format is None:
        print(f"open {write_site(views, records, store, arguments.out, methods=methods)}")
    return 0
