"""`ovlab run`: make what is missing behind the cells of a table, several runs at once or one after the other."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.count_option import at_least_one
from ovlab.commands.plan import add_table_arguments, plan_json, planned, print_plan, totals
from ovlab.commands.renamed_option import add_renamed
from ovlab.specs.errors import InputError

if TYPE_CHECKING:
    from ovlab.runs.failure import Failure
    from ovlab.runs.planned import Plan
    from ovlab.runs.sources import Sources
    from ovlab.store.store import Store

_EPILOG = """\
examples:
  ovlab run table4                                        the miniature study; nothing to be given
  ovlab run table4 --limit-steps 20 --limit-images 20     a rehearsal; its runs fill no cell of the real table
  ovlab run table1 --suite paper --data coco-stuff=s3://bucket/coco-stuff --clip vit-b16=ViT-B-16.pt
  ovlab run experiments/my_table.py --store s3://bucket/store
  ovlab run table4 --runs-at-once 2                       as trials of Ray Tune
  ovlab run experiments/my_search.py --search asha        a free search: what falls behind is stopped early
  ray job submit --working-dir . -- python -m ovlab run table4 --store s3://bucket/store

Ctrl-C, a kill or a power cut loses little: the same command continues. What is in the store is never made again. A
run that fails does not stop the others.

The runs are told to MLflow: to the server of MLFLOW_TRACKING_URI, else to a database in the store. A server that is
away stops nothing; `ovlab runs replay` delivers later what it missed.
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
    add_renamed(parser, "--workers", "how many runs are made at a time is said by --runs-at-once N.")
    parser.add_argument(
        "--search",
        choices=("asha",),
        help="stop early what falls behind, for a table of your own without published values or claims",
    )
    parser.add_argument("--no-tracking", action="store_true", help="tell MLflow nothing")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument(
        "--loader-workers", type=int, default=1, metavar="N", help="threads that read images (default: 1)"
    )
    parser.add_argument("--checkpoint-every", type=int, default=500, metavar="STEPS", help="default: 500")
    parser.add_argument("--json", action="store_true", help="print the end as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    plan, store, sources = planned(arguments)
    if arguments.search is not None:
        plan = _searched(plan, store, arguments.tables)
    if plan.problems and not plan.missing:
        raise InputError(plan.problems[0])
    if not arguments.json:
        print_plan(plan)
    failures: list[Failure] = []
    if plan.missing:
        try:
            _make(plan, store, sources, arguments, failures)
        finally:
            for failure in failures:
                print(f"failed: {failure.run.name}: {failure.cause}", file=sys.stderr)
        plan = planned(arguments)[0]
        if not arguments.json:
            print(totals(plan))
    if arguments.json:
        failed = [{"run": failure.run.name, "cause": failure.cause} for failure in failures]
        print(json.dumps({**plan_json(plan), "failures": failed}))
    return 1 if failures else 0


def _make(
    plan: "Plan", store: "Store", sources: "Sources", arguments: argparse.Namespace, failures: "list[Failure]"
) -> None:
    """Make what is missing. Adds what fails to `failures`; raises Stopped after a signal."""
    from ovlab.files.lock import locked
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.workplace import Workplace
    from ovlab.sweeps.tracked_sweep import sweep_of, tracked_sweep
    from ovlab.tracking.provenance import provenance
    from ovlab.tracking.session import no_tracking, tracking

    at = Workplace(
        store=arguments.store if "://" in arguments.store else str(Path(arguments.store).resolve()),
        workdir=arguments.workdir,
        sources=sources,
        device=arguments.device,
        source=provenance().source,
        num_loader_workers=arguments.loader_workers,
        checkpoint_every=arguments.checkpoint_every,
    )
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals("stopping after this step or image"))
        sweep = sweep_of(plan)
        stack.enter_context(locked(at.lock(sweep.run), sweep.name))
        make = _pick(arguments, plan, stack)
        new_tracker = stack.enter_context(no_tracking() if arguments.no_tracking else tracking(at.store))
        stack.enter_context(tracked_sweep(plan, store, new_tracker(), at.source, failures))
        make(plan, at, new_tracker=new_tracker, stop=stop, on_failure=failures.append)


def _searched(plan: "Plan", store: "Store", tables: list[str]) -> "Plan":
    from ovlab.specs.table_file import load_table
    from ovlab.sweeps.search import require_searchable, without_given_up

    require_searchable([load_table(name) for name in tables])
    return without_given_up(plan, store)


def _pick(arguments: argparse.Namespace, plan: "Plan", stack: ExitStack) -> "Callable[..., None]":
    """What makes the runs: the trials of a Ray that is connected or started, or this process for one at a time."""
    if arguments.search is None and _is_for_one_process(arguments, len(plan.missing)):
        from ovlab.sweeps.tracked_run import make_here

        return make_here
    from ovlab.ray.asha import asha, to_the_end
    from ovlab.ray.cluster import connect
    from ovlab.ray.tuner import make_on_ray

    cluster = stack.enter_context(connect())
    search = to_the_end if arguments.search is None else asha
    return partial(make_on_ray, cluster=cluster, num_at_once=arguments.runs_at_once, search=search)


def _is_for_one_process(arguments: argparse.Namespace, num_runs: int) -> bool:
    if arguments.runs_at_once == 1:
        return True
    if "RAY_ADDRESS" in os.environ:
        return False
    if num_runs == 1:
        return True
    if arguments.runs_at_once is not None:
        return False
    # Only here: torch takes seconds, and the process that starts trials has no other need of it.
    import torch

    from ovlab.runs.device import pick_device

    is_on_gpu = pick_device(arguments.device).type == "cuda"
    return (torch.cuda.device_count() if is_on_gpu else os.cpu_count() or 1) == 1
