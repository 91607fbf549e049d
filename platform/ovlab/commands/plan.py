"""`ovlab plan`: every run behind the cells of a table, which are done, what the others will cost. Starts nothing."""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ovlab.commands.count_option import require_at_least_one
from ovlab.commands.forecast_option import add_forecast, forecast_json, forecast_of, print_forecast
from ovlab.commands.store_option import add_store
from ovlab.specs.errors import InputError
from ovlab.specs.method import method_name
from ovlab.specs.suite import SUITES, suite_named
from ovlab.specs.wording import clock, first_names, percent

if TYPE_CHECKING:
    from ovlab.report.claim_power import ClaimPower
    from ovlab.runs.planned import Estimate, PlannedEvaluation, PlannedRun, PlannedTraining, PlannedUntrained
    from ovlab.runs.sources import Sources
    from ovlab.specs.table import Table
    from ovlab.store.store import Store
    from ovlab.sweeps.sweep import Plan

# Digits by which a run is shown.
_SHORT = 12

_EPILOG = """\
examples:
  ovlab plan table4                                       the miniature study; nothing to be given
  ovlab plan table1 table2 table3 --seeds 0 --evaluations runs that tables share are listed once
  ovlab plan table1 --suite paper --data coco-stuff=s3://bucket/coco-stuff --clip vit-b16=ViT-B-16.pt
  ovlab plan experiments/my_table.py
  ovlab plan table4 --power 0.8                           what its seeds can decide, and what each claim takes
  ovlab plan table1 --suite paper --on "2 x 8 H200" --processes-per-run 4 --price 3.50

Data sets of the suite `paper` are looked for at --data, else in $OVLAB_DATA/NAME. A column's folder or shards of one's
own lie where the table says, or at --data NAME=URI.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "plan",
        help="show which runs a table needs, and which are done",
        description="Show every run behind the cells of a table: fingerprint, done or missing, cost. Starts nothing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    parser.add_argument("--evaluations", action="store_true", help="list every evaluation with its fingerprint, too")
    parser.add_argument(
        "--power",
        type=_power,
        metavar="P",
        help="for each claim: the difference that its seeds find with this probability, and the seeds that it takes",
    )
    add_forecast(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as one JSON document")
    parser.set_defaults(execute=execute)


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which runs are meant, the same for every command on tables."""
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="table1 .. table5, or the file of one of your own")
    parser.add_argument("--suite", default="shapes", choices=sorted(SUITES), help="default: shapes, the miniature")
    parser.add_argument("--seeds", type=_seeds, metavar="0,1,2", help="instead of the seeds that the table names")
    add_store(parser)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=URI", help="where a data set lies")
    parser.add_argument(
        "--clip",
        action="append",
        default=[],
        metavar="PRESET=FILE",
        help="released CLIP weights of a preset: a file, open_clip's tag (vit-b16=openai) or hf-hub:OWNER/NAME; `none` "
        "for random ones. Those of the shapes suite come with it",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        default=[],
        metavar="KEY",
        help="these rows alone, by their keys or by patterns, for example 'logoseg-*'",
    )
    parser.add_argument("--limit-steps", type=int, metavar="N", help="train N updates at most, for a rehearsal")
    parser.add_argument("--limit-images", type=int, metavar="N", help="score the first N images of each set only")


def execute(arguments: argparse.Namespace) -> int:
    plan, store, sources = planned(arguments)
    claims = [] if arguments.power is None else _claims(arguments, store, sources)
    found = forecast_of(arguments, plan, store)
    if arguments.json:
        power = {} if arguments.power is None else {"claims": [_claim_json(claim) for claim in claims]}
        on = {} if found is None else {"forecast": forecast_json(found, arguments.price)}
        print(json.dumps({**plan_json(plan), **power, **on}))
        return 0
    print_plan(plan, evaluations=arguments.evaluations)
    if found is not None:
        print_forecast(found, arguments.price)
    if claims:
        _print_claims(claims, arguments.power)
    return 0


def planned(arguments: argparse.Namespace) -> "tuple[Plan, Store, Sources]":
    """The plan that the arguments ask for, with the store it was held against and the places it was made from."""
    from ovlab.sweeps.planner import make_plan

    require_at_least_one(arguments, "--limit-steps", "--limit-images")
    tables, store, sources = opened(arguments)
    plan = make_plan(
        tables,
        suite_named(arguments.suite),
        store,
        sources,
        seeds=arguments.seeds,
        seeds_by_row=dict.fromkeys(_rows_left_out(tables, arguments.rows), ()),
        limit_steps=arguments.limit_steps,
        limit_images=arguments.limit_images,
    )
    return plan, store, sources


def opened(arguments: argparse.Namespace) -> "tuple[list[Table], Store, Sources]":
    """The tables that the arguments name, the store, and the places that runs are made from."""
    from ovlab.datasets.places import parse_places
    from ovlab.methods.registry import own_files_of
    from ovlab.runs.sources import Sources, parse_clip_files
    from ovlab.specs.table import places_of
    from ovlab.specs.table_file import load_table
    from ovlab.store.store import open_store

    store = open_store(arguments.store)
    tables = [load_table(name) for name in dict.fromkeys(arguments.tables)]
    places = places_of(tables) | parse_places(arguments.data)
    sources = Sources(places=places, clip_files=parse_clip_files(arguments.clip), method_files=own_files_of(tables))
    return tables, store, sources


def _rows_left_out(tables: "Sequence[Table]", patterns: Sequence[str]) -> list[tuple[str, str]]:
    """The rows that no pattern names, by table and key; none without patterns. Raises InputError for a pattern that
    names no row."""
    rows = [(table.name, row.key) for table in tables for row in table.rows if row.run is not None]
    for pattern in patterns:
        if not any(fnmatchcase(key, pattern) for _, key in rows):
            keys = ", ".join(key for _, key in rows)
            raise InputError(f"--rows {pattern}: no row to be measured has such a key; there are {keys}.")
    return [row for row in rows if patterns and not any(fnmatchcase(row[1], pattern) for pattern in patterns)]


def print_plan(plan: "Plan", *, evaluations: bool = False) -> None:
    """One line a run, and what all of it comes to."""
    from rich.console import Console
    from rich.table import Table

    from ovlab.report.fitted_table import print_table

    table = Table(title=f"{', '.join(plan.sweep.tables)}, suite {plan.sweep.suite}, store {plan.store}")
    table.add_column("run", no_wrap=True)
    table.add_column("needed by", overflow="fold")
    for column in ("seed", "training", "evaluations", "wall time left"):
        table.add_column(column, justify="right")
    for run in plan.runs:
        _add_run(table, run, evaluations)
    print_table(table)
    console = Console()
    for problem in plan.problems:
        console.print(f"blocked: {problem}", markup=False, soft_wrap=True)
    console.print(totals(plan), markup=False, soft_wrap=True)


def totals(plan: "Plan") -> str:
    """How many trainings and evaluations there are, how many are missing, and what those will cost."""
    trainings = [run.subject for run in plan.runs if run.subject.num_steps]
    evaluations = [part for run in plan.runs for part in run.evaluations]
    missing = [part for run in plan.runs for part in run.parts if part.status == "missing"]
    lines = [f"{_counted('training', trainings)}; {_counted('evaluation', evaluations)}."]
    estimates = [part.estimate for part in missing if part.estimate is not None]
    if estimates:
        seconds, gpu_seconds = (sum(getattr(e, name) for e in estimates) for name in ("seconds", "gpu_seconds"))
        processed = [estimate.process_seconds for estimate in estimates if estimate.process_seconds is not None]
        is_known = len(processed) == len(estimates)
        cpu = f"{clock(sum(processed))} of CPU time" if is_known else "CPU time not recorded"
        devices = ", ".join(dict.fromkeys(estimate.device for estimate in estimates))
        lines.append(
            f"Still to do, one after the other: {clock(seconds)} of wall time, {cpu}, {gpu_seconds / 3600:.1f} "
            f"GPU-hours, as measured on {devices}."
        )
    if num_rehearsed := sum(estimate.is_rehearsed for estimate in estimates):
        lines.append(
            f"{num_rehearsed} of these {len(estimates)} estimates build on limited runs: a rehearsal is short."
        )
    if plan.waiting:
        lines.append(f"Planned once their learning rates are chosen by these runs: {first_names(plan.waiting)}.")
    if len(estimates) < len(missing):
        lines.append(f"Not measured yet: {len(missing) - len(estimates)} of the {len(missing)} that are missing.")
    return "\n".join(lines)


def plan_json(plan: "Plan") -> dict[str, Any]:
    """The whole plan as plain values."""
    runs = [
        {"training": _training_json(run.subject), "evaluations": [_evaluation_json(part) for part in run.evaluations]}
        for run in plan.runs
    ]
    return {
        "suite": plan.sweep.suite,
        "tables": plan.sweep.tables,
        "store": plan.store,
        "runs": runs,
        "waiting": plan.waiting,
    }


def _claims(arguments: argparse.Namespace, store: "Store", sources: "Sources") -> "list[ClaimPower]":
    """What the claims of the tables can be told, from what is measured of them."""
    from ovlab.report.assembly import table_views
    from ovlab.report.cells import read_records
    from ovlab.report.claim_power import claim_power
    from ovlab.report.looks import seeds_of
    from ovlab.specs.table_file import load_table
    from ovlab.sweeps.planner import make_plan

    suite, records = suite_named(arguments.suite), read_records(store)
    limits = {"limit_steps": arguments.limit_steps, "limit_images": arguments.limit_images}
    found = []
    for name in dict.fromkeys(arguments.tables):
        table = load_table(name)
        seeds = arguments.seeds or table.seeds
        (view,) = table_views([replace(table, seeds=seeds)], suite, records, store, **limits)
        # A table that was run until decided has other seeds than its own.
        numbers = [claim.looks[-1].num_seeds if claim.looks else len(seeds) for claim in view.claims]
        beyond = max((*seeds, *seeds_of(table, max(numbers, default=0)))) + 1
        to_come = make_plan([table], suite, store, sources, seeds=[beyond], **limits)
        seconds: dict[str, float] = {}
        for run in to_come.runs:
            estimates = [part.estimate for part in run.parts if part.status == "missing"]
            if None not in estimates:
                seconds |= {row: sum(one.seconds for one in estimates if one is not None) for _, row in run.rows}
        found += [
            claim_power(claim, number, len(view.claims), arguments.power, seconds)
            for claim, number in zip(view.claims, numbers, strict=True)
        ]
    return found


def _print_claims(claims: "Sequence[ClaimPower]", power: float) -> None:
    from rich.table import Table

    from ovlab.report.fitted_table import print_table

    table = Table(title=f"Claims, over all their columns, with a power of {100 * power:g} %")
    table.add_column("claim", overflow="fold")
    for column in ("verdict", "seeds", "points they decide", "seeds it takes", "wall time left"):
        table.add_column(column, justify="right")
    for claim in claims:
        table.add_row(
            claim.text,
            claim.verdict,
            str(claim.num_seeds),
            percent(claim.margin, 2),
            "-" if claim.need is None else "images are the limit" if claim.need == math.inf else str(claim.need),
            "-" if claim.seconds is None else clock(claim.seconds),
        )
    print_table(table)


def _claim_json(claim: "ClaimPower") -> dict[str, Any]:
    # JSON knows no infinity.
    entry = claim._asdict()
    return entry | {"need": None if claim.need == math.inf else claim.need, "images_limit": claim.need == math.inf}


def _add_run(table: Any, run: "PlannedRun", evaluations: bool) -> None:
    training = run.subject
    done = sum(part.status == "done" for part in run.evaluations)
    table.add_row(
        _short(training.fingerprint),
        "\n".join(f"{name}: {', '.join(keys)}" for name, keys in _rows_by_table(run).items()),
        "" if training.seed is None else str(training.seed),
        _training_state(training),
        f"{done} of {len(run.evaluations)}",
        _time_left(run.parts),
    )
    if not evaluations:
        return
    for part in run.evaluations:
        table.add_row(f"  {_short(part.fingerprint)}", f"  {part.benchmark}", "", "", _shards(part), _time_left([part]))


def _training_state(training: "PlannedTraining | PlannedUntrained") -> str:
    if training.status == "missing" and training.step:
        return f"step {training.step} of {training.num_steps}"
    return "none needed" if training.status == "done" and not training.num_steps else training.status


def _shards(part: "PlannedEvaluation") -> str:
    if part.status == "missing" and part.num_shards_done:
        return f"{part.num_shards_done} of {part.num_shards} shards"
    return part.status


def _time_left(parts: "Sequence[PlannedTraining | PlannedUntrained | PlannedEvaluation]") -> str:
    missing = [part.estimate for part in parts if part.status == "missing"]
    measured = [estimate.seconds for estimate in missing if estimate is not None]
    if len(measured) < len(missing):
        return "not measured"
    return _rehearsed(clock(sum(measured)), [one for one in missing if one is not None]) if missing else ""


def _rehearsed(time: str, estimates: "Sequence[Estimate]") -> str:
    return f"{time} (rehearsal)" if any(estimate.is_rehearsed for estimate in estimates) else time


def _rows_by_table(run: "PlannedRun") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, row in run.rows:
        found.setdefault(table, []).append(row)
    return found


def _counted(what: str, parts: "Sequence[PlannedTraining | PlannedUntrained | PlannedEvaluation]") -> str:
    counts = {status: sum(part.status == status for part in parts) for status in ("done", "missing", "blocked")}
    named = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
    return f"{len(parts)} {what}{'' if len(parts) == 1 else 's'}: {named or 'none'}"


def _training_json(training: "PlannedTraining | PlannedUntrained") -> dict[str, Any]:
    return {
        "fingerprint": training.fingerprint,
        "preset": training.preset,
        "method": method_name(training.model),
        "data": training.data,
        "seed": training.seed,
        "status": training.status,
        "step": training.step,
        "num_steps": training.num_steps,
        "problems": training.problems,
        "estimate": _estimate_json(training.estimate),
    }


def _evaluation_json(part: "PlannedEvaluation") -> dict[str, Any]:
    return {
        "fingerprint": part.fingerprint,
        "benchmark": part.benchmark,
        "status": part.status,
        "num_images": part.num_images,
        "num_shards": part.num_shards,
        "num_shards_done": part.num_shards_done,
        "problems": part.problems,
        "estimate": _estimate_json(part.estimate),
        "cells": [cell._asdict() for cell in part.cells],
    }


def _estimate_json(estimate: "Estimate | None") -> dict[str, Any] | None:
    return None if estimate is None else estimate._asdict()


def _short(fingerprint: str | None) -> str:
    return "-" if fingerprint is None else fingerprint[:_SHORT]


def _power(text: str) -> float:
    try:
        if 0 < (power := float(text)) < 1:
            return power
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: a probability between 0 and 1, for example 0.8.")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write whole numbers with commas, for example 0,1,2.") from None
