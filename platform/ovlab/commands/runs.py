"""`ovlab runs`: what the tracking server knows, ending what died without a word, and delivering what it missed."""

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from ovlab.commands.store_option import add_store
from ovlab.specs.errors import InputError, WorkError
from ovlab.tracking.heartbeat import STALE_SECONDS

if TYPE_CHECKING:
    from ovlab.tracking.destination import Destination
    from ovlab.tracking.mlflow_tracker import MlflowServer
    from ovlab.tracking.tracked_run import TrackedRun

# A running command delivers for a moment every few seconds.
_LOCK_SECONDS = 30.0

_EPILOG = """\
examples:
  ovlab runs list                       every run, children under their parents
  ovlab runs list --status RUNNING --json
  ovlab runs reap --stale-after 600     runs without a sign of life for ten minutes become KILLED
  ovlab runs replay                     deliver what was told while the tracking server was away

The server is that of MLFLOW_TRACKING_URI, else the database in the store (STORE/tracking/mlflow.db).
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "runs",
        help="list tracked runs, end dead ones, deliver what the tracking server missed",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _action(actions, "list", "list every tracked run, the newest first", _list, "ovlab runs list --json")
    listing.add_argument("--status", choices=("RUNNING", "FINISHED", "FAILED", "KILLED"), help="only such runs")
    reaping = _action(
        actions, "reap", "mark silent runs KILLED, here and on the server", _reap, "ovlab runs reap --dry-run"
    )
    reaping.add_argument(
        "--stale-after",
        type=float,
        default=STALE_SECONDS,
        metavar="SECONDS",
        help=f"silence that counts as death (default: {STALE_SECONDS:.0f})",
    )
    reaping.add_argument("--dry-run", action="store_true", help="only say which")
    replaying = _action(
        actions, "replay", "deliver what the server does not have yet", _replay, "ovlab runs replay --store results"
    )
    replaying.add_argument("--again", action="store_true", help="everything from the beginning, for a new server")


def _action(actions: Any, name: str, effect: str, execute: Any, example: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=effect,
        description=effect.capitalize() + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_store(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(execute=execute)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from ovlab.tracking.replay import num_waiting

    to, server = _open(arguments.store)
    runs = [run for run in _answer(server.runs) if arguments.status in (None, run.status)]
    waiting = num_waiting(to.spool, server.uri)
    if arguments.json:
        entries = [{**run._asdict(), "silent_seconds": time.time() - run.last_sign / 1000} for run in runs]
        print(json.dumps({"runs": entries, "num_waiting": waiting}))
        return 0
    if not runs:
        print(f"no runs at {server.uri}")
    for depth, run in _nested(runs):
        print(_line(depth, run))
    if waiting:
        print(f"{waiting} events wait in {to.spool}; `ovlab runs replay` delivers them")
    return 0


def _reap(arguments: argparse.Namespace) -> int:
    if not arguments.stale_after > 0:
        raise InputError(f"--stale-after must be a number of seconds above 0, got {arguments.stale_after:g}.")
    from ovlab.tracking.reaper import reap_server, reap_spool, silent_in_spool, silent_on_server

    to, server = _open(arguments.store)
    here = silent_in_spool(to.spool, arguments.stale_after)
    if not arguments.dry_run:
        reap_spool(to.spool, here)
        _deliver(to, server, again=False)
    there = _answer(lambda: silent_on_server(server, to.spool, arguments.stale_after))
    there = {id: run for id, run in there.items() if run.run not in {run.run for run in here}}
    if not arguments.dry_run:
        _answer(lambda: reap_server(server, there))
    silent = [*here, *there.values()]
    if arguments.json:
        print(json.dumps({"reaped": [run._asdict() for run in silent], "dry_run": arguments.dry_run}))
        return 0
    for run in silent:
        print(f"{'silent' if arguments.dry_run else 'KILLED'}  {run.name}  no sign of life for {run.seconds:.0f} s")
    if not silent:
        print(f"no run is silent for more than {arguments.stale_after:g} s")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    to, server = _open(arguments.store)
    report = _deliver(to, server, again=arguments.again)
    if arguments.json:
        print(json.dumps(report))
    else:
        left_out = report["num_refused"] + report["num_damaged"]
        print(
            f"{report['num_delivered']} events delivered to {server.uri}" + (f", {left_out} left out" * bool(left_out))
        )
    if report["problem"] is not None:
        raise WorkError(f"{report['num_waiting']} events still wait: {report['problem']}")
    return 0


def _open(store: str) -> "tuple[Destination, MlflowServer]":
    from ovlab.tracking.destination import destination

    to = destination(store)
    uri = to.require_uri()
    if to.artifacts is not None and not to.spool.parent.exists():
        raise InputError(f"{store}: no runs were tracked there; give --store, or set MLFLOW_TRACKING_URI.")
    from ovlab.tracking.mlflow_tracker import MlflowServer

    return to, _answer(lambda: MlflowServer(uri, to.artifacts))


def _deliver(to: "Destination", server: "MlflowServer", *, again: bool) -> dict[str, Any]:
    import dataclasses

    from ovlab.tracking.replay import replay, replay_lock

    with replay_lock(to.spool, _LOCK_SECONDS) as is_mine:
        if not is_mine:
            raise WorkError(f"{to.spool}: a running command is delivering this spool; nothing is left to do here.")
        return dataclasses.asdict(replay(to.spool, server, again=again))


def _answer(ask: Any) -> Any:
    from ovlab.tracking.replay import Refused, Unavailable

    try:
        return ask()
    except (Unavailable, Refused) as error:
        raise WorkError(f"the tracking server does not answer: {error}") from None


def _nested(runs: "list[TrackedRun]") -> "list[tuple[int, TrackedRun]]":
    """The runs in order, each followed by its children, one deeper."""
    known = {run.run for run in runs}
    ordered: list[tuple[int, TrackedRun]] = []

    def add(parent: str | None, depth: int) -> None:
        for run in runs:
            if (run.parent if run.parent in known else None) == parent:
                ordered.append((depth, run))
                add(run.run, depth + 1)

    add(None, 0)
    return ordered


def _line(depth: int, run: "TrackedRun") -> str:
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.began / 1000))
    scores = [f"{key} {100 * value:.1f} %" for key, value in sorted(run.metrics.items()) if key.endswith("/miou")]
    silence = f"last sign {time.time() - run.last_sign / 1000:.0f} s ago" if run.status == "RUNNING" else run.reason
    parts = [run.status, began, f"attempt {run.attempt}", ", ".join(scores), silence]
    return "  " * depth + "  ".join([run.name, *(part for part in parts if part), run.id])
