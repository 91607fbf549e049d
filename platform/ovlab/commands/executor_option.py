"""Who computes for a command: this process, or a Ray. The one place where that is chosen."""

import argparse
from typing import TYPE_CHECKING

from ovlab.commands.count_option import at_least_one

if TYPE_CHECKING:
    from ovlab.runs.executor import Executor


def add_workers(parser: argparse.ArgumentParser, what: str) -> None:
    """--workers: processes that divide `what` among them; `executor_of` reads it."""
    parser.add_argument(
        "--workers",
        type=at_least_one("workers"),
        default=1,
        metavar="N",
        help=f"processes that divide {what} among them, on the Ray of RAY_ADDRESS or one that this command starts "
        "(default: 1, without Ray)",
    )


def executor_of(arguments: argparse.Namespace) -> "Executor":
    """For a command that has --workers."""
    if arguments.workers == 1:
        from ovlab.runs.here import Here

        return Here()
    from ovlab.ray.on_ray import OnRay

    return OnRay(num_processes=arguments.workers)
