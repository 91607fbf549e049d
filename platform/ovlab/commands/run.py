"""`ovlab run`: make what is missing behind the cells of a table, several runs at once or one after the other."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovlab.commands.count_option import at_least_one
from ovlab.commands.executor_option import add_processes_per_run, executor_of_runs
from ovlab.commands.plan import add_table_arguments, plan_json, planned, print_plan, totals
from ovlab.commands.until_decided import add_arguments as add_until_decided
from ovlab.commands.until_decided import require_options_that_go_together, run_until_decided
from ovlab.specs.errors import InputError

if TYPE_CHECKING:
    from ovlab.runs.failure import Failure
    from ovlab.runs.sources import Sources
    from ovlab.store.store import Store
    from ovlab.sweeps.sweep import Plan

_EPILOG = """\
examples:
  ovlab run table4                                        the miniature study; nothing to be given
  ovlab run table4 --limit-steps 20 --limit-images 20     a rehearsal; its runs fill no cell of the real table
  ovlab run table1 --suite paper --data coco-stuff=s3://bucket/coco-stuff --clip vit-b16=ViT-B-16.pt
  ovlab run experiments/my_table.py --store s3://bucket/store
  ovlab run table4 --runs-at-once 2                       as trials of Ray Tune
  ovlab run table1 --suite paper --processes-per-run 4    each run by four processes, with a GPU each
  ovlab run experiments/my_search.py --search asha        a free search: what falls behind is stopped early
  ovlab run table4 --until-decided --budget-hours 6       seeds until its claims are decided or futile
  ray job submit --working-dir . -- python -m ovlab run table4 --store s3://bucket/store

Ctrl-C, a kill or a power cut loses little: the same command continues. What is in the store is never made again. A
run that fails does not stop the others.

With --until-decided, seeds are added in looks that are planned in advance: 3, 5, 8, 12 and 20 of each row. A look tests
the claims at a level at which all looks together err with 5 %, so that to look early costs no false verdicts. Rows that
only decided or futile claims need get no more seeds; rows that no claim needs have those of the table. Which looks were
taken is kept in the store: the same command continues at the same look, and `ovlab report` shows them.

The runs are told to MLflow: to the server of MLFLOW_TRACKING_URI, else to a database in the store. A server that is
away stops nothing; `ovlab runs publish` tells it later what it missed.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "run",
        help="make the missing runs of a table",
        description="Train and evaluate what a table needs and the store has not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    parser.add_argument(
        "--workdir", type=Path, default=Path("runs"), metavar="DIR", help="where runs work (default: ./runs)"
    )
    parser.add_argument(
        "--runs-at-once",
        type=at_least_one("runs at once"),
        metavar="N",
        help="more than one are trials on the Ray of RAY_ADDRESS, or on one that this command starts (default: as many "
        "as there are GPUs, or processors without any)",
    )
    add_processes_per_run(parser)
    parser.add_argument("--workers", action=_Renamed, nargs="?", dest=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument(
        "--search",
        choices=("asha",),
        help="stop early what falls behind, for a table of your own without published values or claims",
    )
    add_until_decided(parser)
    parser.add_argument("--no-tracking", action="store_true", help="tell MLflow nothing")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument(
        "--loader-workers", type=int, default=1, metavar="N", help="threads that read images (default: 1)"
    )
    parser.add_argument("--checkpoint-every", type=int, default=500, metavar="STEPS", help="default: 500")
    parser.add_argument("--json", action="store_true", help="print the end as one JSON document")
    parser.set_defaults(execute=execute)


class _Renamed(argparse.Action):
    """The name that --runs-at-once had once: it means another thing in other commands."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        parser.exit(2, "ovlab: --workers: how many runs are made at a time is said by --runs-at-once N.\n")


def execute(arguments: argparse.Namespace) -> int:
    require_options_that_go_together(arguments)
    from ovlab.sweeps.making import to_make

    if arguments.until_decided:

        def make(plan: "Plan", store: "Store", sources: "Sources", is_over: Callable[[], bool]) -> "list[Failure]":
            num_runs = len(plan.missing) or len(to_make(plan, store))
            return _make(plan, store, sources, arguments, num_runs, is_over) if num_runs else []

        return run_until_decided(arguments, make)
    plan, store, sources = planned(arguments)
    if arguments.search is not None:
        plan = _searched(plan, store, arguments.tables)
    if plan.problems and not plan.missing:
        raise InputError(plan.problems[0])
    if not arguments.json:
        print_plan(plan)
    failures: dict[str, Failure] = {}
    while num_runs := len(plan.missing) or len(to_make(plan, store)):
        failed = _make(plan, store, sources, arguments, num_runs)
        failures |= {failure.run.name: failure for failure in failed}
        for failure in failed:
            print(f"failed: {failure.run.name}: {failure.cause}", file=sys.stderr)
        waited, plan = plan.waiting, planned(arguments)[0]
        if not arguments.json:
            print(totals(plan))
        # What has its learning rate only now is made next.
        if plan.waiting == waited:
            break
    if arguments.json:
        told = [{"run": failure.run.name, "cause": failure.cause} for failure in failures.values()]
        print(json.dumps({**plan_json(plan), "failures": told}))
    return 1 if failures else 0


def _make(
    plan: "Plan",
    store: "Store",
    sources: "Sources",
    arguments: argparse.Namespace,
    num_runs: int,
    is_over: Callable[[], bool] = lambda: False,
) -> "list[Failure]":
    """Make what is missing; returns what fails. Raises Stopped after a signal, and once `is_over`."""
    from ovlab.runs.context import RunContext
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.progress import ProgressLine
    from ovlab.sweeps.making import make_sweep
    from ovlab.tracking.provenance import provenance
    from ovlab.tracking.publisher import publishing

    executor = executor_of_runs(arguments, num_runs)
    with stop_on_signals("stopping after this step or image") as stop:
        context = RunContext(
            store=store,
            workdir=arguments.workdir,
            sources=sources,
            device=arguments.device,
            num_loader_workers=arguments.loader_workers,
            checkpoint_every=arguments.checkpoint_every,
            source=provenance().source,
            stop=lambda: stop() or is_over(),
            observer=ProgressLine(),
        )
        with nullcontext() if arguments.no_tracking else publishing(store):
            return make_sweep(plan, context, executor)


def _searched(plan: "Plan", store: "Store", tables: list[str]) -> "Plan":
    from ovlab.specs.table_file import load_table
    from ovlab.sweeps.search import require_searchable, without_given_up

    require_searchable([load_table(name) for name in tables])
    return without_given_up(plan, store)
