"""`ovlab run`: make what is missing behind the cells of a table, one run after the other in this process."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.commands.plan import add_table_arguments, plan_json, planned, print_plan, totals
from ovlab.specs.errors import InputError

if TYPE_CHECKING:
    from ovlab.results.store import Store
    from ovlab.sweeps.planned import Plan, PlannedRun
    from ovlab.sweeps.planned_run import Failure
    from ovlab.sweeps.sources import Sources

_EPILOG = """\
examples:
  ovlab run table4                                        the miniature study; nothing to be given
  ovlab run table4 --limit-steps 20 --limit-images 20     a rehearsal; its runs fill no cell of the real table
  ovlab run table1 --suite paper --data coco-stuff=s3://bucket/coco-stuff --clip vit-b16=ViT-B-16.pt
  ovlab run experiments/my_table.py --store s3://bucket/store

Ctrl-C, a kill or a power cut loses little: the same command continues. What is in the store is never made again. A
run that fails does not stop the others.
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
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--loader-workers", type=int, default=1, metavar="N", help="processes that read data")
    parser.add_argument("--checkpoint-every", type=int, default=500, metavar="STEPS", help="default: 500")
    parser.add_argument("--json", action="store_true", help="print the end as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    plan, store, sources = planned(arguments)
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
    from ovlab.device import pick_device
    from ovlab.interruption import stop_on_signals
    from ovlab.progress import open_progress
    from ovlab.sweeps.planned_run import run_missing, run_one
    from ovlab.tracking.provenance import provenance

    device = pick_device(arguments.device)
    stamp = dataclasses.asdict(provenance())
    numbers = {id(run): number for number, run in enumerate(plan.runs, start=1)}

    with stop_on_signals("stopping after this step or image") as stop:

        def make(run: "PlannedRun") -> None:
            print(f"[{numbers[id(run)]}/{len(plan.runs)}] {run.name}", file=sys.stderr)
            run_one(
                run,
                store,
                arguments.workdir,
                sources=sources,
                device=device,
                num_loader_workers=arguments.loader_workers,
                checkpoint_every=arguments.checkpoint_every,
                open_progress=open_progress,
                stop=stop,
                provenance=stamp,
            )

        run_missing(plan, make, failures.append)
