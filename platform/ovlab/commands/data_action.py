"""What the actions of `ovlab data` have alike: --json, --workers, and a word on a worker that died."""

import argparse
import os
import sys

from ovlab.commands.count_option import at_least_one


def add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, effect: str, epilog: str
) -> argparse.ArgumentParser:
    """The parser of an action that has --json; `effect` is what it does, as a phrase."""
    parser = actions.add_parser(
        name,
        help=effect,
        description=f"{effect[0].upper()}{effect[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def add_workers(parser: argparse.ArgumentParser) -> None:
    """--workers, by default one a core that this process may use."""
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "--workers",
        type=at_least_one("processes"),
        default=num_cores,
        metavar="N",
        help=f"processes that share the shards (default: {num_cores}, one a core)",
    )


def worker_died(consequence: str) -> int:
    """Say so, and what follows from it; returns the exit code."""
    print(
        f"ovlab: a worker process was killed, perhaps for want of memory; {consequence}. Try fewer --workers.",
        file=sys.stderr,
    )
    return 1
