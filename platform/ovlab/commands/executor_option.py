"""Who computes for a command: this process, or a Ray. The one place where that is chosen."""

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ovlab.commands.count_option import at_least_one

if TYPE_CHECKING:
    from ovlab.runs.executor import Executor


def add_workers(parser: argparse.ArgumentParser, what: str) -> None:
    """--workers: processes that divide `what` among them; `executor_of` reads it."""
    _add(parser, at_least_one("processes"), f"processes that divide {what} among them")


def add_elastic_workers(parser: argparse.ArgumentParser, what: str) -> None:
    """The same, where the number may change on the way."""
    _add(parser, _elastic, f"processes that divide {what} among them, FEWEST:MOST for as many as there is room for")


def _add(parser: argparse.ArgumentParser, kind: Callable[[str], Any], what: str) -> None:
    place = "on the Ray of RAY_ADDRESS or one that this command starts (default: 1, without Ray)"
    parser.add_argument("--workers", type=kind, default=1, metavar="N", help=f"{what}; {place}")


def add_processes_per_run(parser: argparse.ArgumentParser) -> None:
    """--processes-per-run and --max-gpus: what each run of several has; `executor_of_runs` reads them."""
    parser.add_argument(
        "--processes-per-run",
        type=_elastic,
        metavar="N",
        help="processes that divide each batch, and the images of evaluations, each with a GPU where there are any; "
        "FEWEST:MOST for as many as there is room for (default: one)",
    )
    parser.add_argument(
        "--max-gpus", type=at_least_one("GPUs"), metavar="N", help="GPUs that all runs together may take (default: all)"
    )


def executor_of(arguments: argparse.Namespace) -> "Executor":
    """For a command that has --workers. Raises InputError as `executor_of_runs`."""
    if arguments.workers == 1:
        from ovlab.runs.here import Here

        return Here()
    _require_device(arguments.device)
    from ovlab.ray.on_ray import OnRay

    return OnRay(num_processes=arguments.workers)


def executor_of_runs(arguments: argparse.Namespace, num_runs: int) -> "Executor":
    """For a command that makes `num_runs` runs, --runs-at-once of them at a time. Raises InputError for a device that
    is not here, where this process, or a Ray that it starts, is to make them."""
    num_processes = None if arguments.processes_per_run == 1 else arguments.processes_per_run
    if arguments.search is None and num_processes is None and _is_for_one_process(arguments, num_runs):
        from ovlab.runs.device import pick_device
        from ovlab.runs.here import Here

        pick_device(arguments.device)
        return Here()
    _require_device(arguments.device)
    from ovlab.ray.on_ray import OnRay

    return OnRay(
        num_processes=num_processes,
        num_at_once=arguments.runs_at_once,
        max_gpus=arguments.max_gpus,
        search=arguments.search,
    )


def _require_device(name: str) -> None:
    """Raise InputError for a GPU that this machine has not, where the Ray will be on it: its start takes seconds."""
    if name.startswith("cuda") and os.environ.get("RAY_ADDRESS", "local") == "local":
        from ovlab.runs.device import pick_device

        pick_device(name)


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


def _elastic(text: str) -> int | tuple[int, int]:
    """ "2", or "1:4" for an elastic number."""
    numbers = text.split(":")
    if len(numbers) > 2:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number, or FEWEST:MOST.")
    parsed = [at_least_one("processes")(number) for number in numbers]
    return parsed[0] if len(parsed) == 1 else (parsed[0], parsed[1])
