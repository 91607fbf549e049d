"""`ovlab plan --on`: how long the missing runs would take on given machines, and what they would cost."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ovlab.commands.executor_option import add_processes_per_run
from ovlab.specs.errors import InputError
from ovlab.specs.wording import clock, percent

if TYPE_CHECKING:
    from ovlab.store.store import Store
    from ovlab.sweeps.forecast import Forecast
    from ovlab.sweeps.sweep import Plan

_OF_MACHINES = ("price", "update_seconds", "image_seconds", "processes_per_run", "max_gpus")


def add_forecast(parser: argparse.ArgumentParser) -> None:
    """--on and what belongs to it; `forecast_of` reads them."""
    parser.add_argument(
        "--on", metavar="MACHINES", help='how long these would take, for example "2 x 8 H200": machines x GPUs of each'
    )
    parser.add_argument("--price", type=_positive, metavar="P", help="of a GPU-hour of them")
    add_processes_per_run(parser)
    declared = "seconds that {} takes there with one process, instead of what was measured"
    parser.add_argument("--update-seconds", type=_positive, metavar="S", help=declared.format("an update"))
    parser.add_argument("--image-seconds", type=_positive, metavar="S", help=declared.format("an image of evaluations"))


def forecast_of(arguments: argparse.Namespace, plan: "Plan", store: "Store") -> "Forecast | None":
    """None without --on. Raises InputError where too little was measured, or the machines have no room for a run."""
    if arguments.on is None:
        for name in _OF_MACHINES:
            if getattr(arguments, name) is not None:
                raise InputError(f"--{name.replace('_', '-')}: say with --on what machines are meant.")
        return None
    from ovlab.sweeps.forecast import forecast, measured_starts, parse_machines, with_declared
    from ovlab.sweeps.schedule import divided

    division = divided(arguments.processes_per_run, max_gpus=arguments.max_gpus)
    runs = [with_declared(run, arguments.update_seconds, arguments.image_seconds) for run in plan.missing]
    starts = measured_starts(store, division.most_processes)
    return forecast(runs, parse_machines(arguments.on), division, starts)


def print_forecast(found: "Forecast", price: float | None) -> None:
    """In plain lines."""
    each = "" if found.num_processes == 1 else f" of {found.num_processes} processes each"
    cost = "" if price is None else f", {_price(found, price):.2f} at {price:g} a GPU-hour"
    print(
        f"On {found.machines}, {found.num_places} at a time{each}, the longest first: {clock(found.seconds)}; "
        f"{found.held_gpu_seconds / 3600:.2f} GPU-hours held by runs, {found.gpu_seconds / 3600:.2f} in all "
        f"({percent(found.idle)} % idle){cost}."
    )
    if found.devices:
        print(f"Speeds: {', '.join(found.devices)}, taken as they are.")
    if any(found.starts):
        print(
            f"Of it, {clock(found.starts.sweep)} before the first run begins and {clock(found.starts.run)} of each run "
            f"that is neither training nor evaluation, as in the newest sweep of the store."
        )


def forecast_json(found: "Forecast", price: float | None) -> dict[str, Any]:
    """As plain values."""
    values = asdict(found) | {"machines": str(found.machines), "starts": found.starts._asdict()}
    values |= {"spans": [span._asdict() for span in found.spans], "gpu_seconds": found.gpu_seconds, "idle": found.idle}
    return values | ({} if price is None else {"price": _price(found, price)})


def _price(found: "Forecast", price: float) -> float:
    return price * found.gpu_seconds / 3600


def _positive(text: str) -> float:
    try:
        if 0 < (number := float(text)) < float("inf"):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: give a number above 0.")
