"""`ovlab runs`: what the journals of a store say, ending what died without a word, and telling a tracking server."""

import argparse
import dataclasses
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from ovlab.commands.store_option import add_store
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import shown

if TYPE_CHECKING:
    from ovlab.store.journal import RunLog
    from ovlab.store.store import Store

_STALE_SECONDS = 300.0
# A running command publishes for a moment every few seconds.
_LOCK_SECONDS = 30.0

_EPILOG = """\
examples:
  ovlab runs list                       every run, children under their parents
  ovlab runs list --status RUNNING --json
  ovlab runs reap --stale-after 600     runs without a sign of life for ten minutes become KILLED
  ovlab runs publish                    tell the tracking server what it was not told

What a run tells is in its journal in the store; a command that makes runs publishes it beside its work. The server is
that of MLFLOW_TRACKING_URI, else the database in the store (STORE/tracking/mlflow.db).
"""


class ListedRun(NamedTuple):
    """Times are in ms since 1970. `metrics` are the scores that the store has."""

    run: str
    name: str
    experiment: str
    parent: str | None
    status: str
    attempt: int
    began: int
    last_sign: int
    silent_seconds: float
    reason: str
    metrics: dict[str, float]


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "runs",
        help="list runs, end dead ones, tell a tracking server of them",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _action(actions, "list", "list every run, the newest first", _list, "ovlab runs list --json")
    listing.add_argument("--status", choices=("RUNNING", "FINISHED", "FAILED", "KILLED"), help="only such runs")
    reaping = _action(actions, "reap", "mark dead runs KILLED", _reap, "ovlab runs reap --dry-run")
    reaping.add_argument(
        "--stale-after",
        type=float,
        default=_STALE_SECONDS,
        metavar="SECONDS",
        help=f"silence that counts as death (default: {_STALE_SECONDS:.0f}); that of a process of this machine is seen "
        "at once",
    )
    reaping.add_argument("--dry-run", action="store_true", help="only say which")
    publishing = _action(
        actions, "publish", "tell the server what it was not told", _publish, "ovlab runs publish --store results"
    )
    publishing.add_argument("--again", action="store_true", help="everything from the beginning, which changes nothing")


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
    from ovlab.store.journal import read_journal
    from ovlab.tracking.destination import destination
    from ovlab.tracking.published import num_waiting

    store, names = _open(arguments.store)
    listed = [_listed(store, read_journal(store, run)) for run in names]
    runs = sorted((run for run in listed if arguments.status in (None, run.status)), key=lambda run: -run.began)
    uri = destination(arguments.store).uri
    waiting = 0 if uri is None else num_waiting(store, uri)
    if arguments.json:
        print(json.dumps({"runs": [run._asdict() for run in runs], "num_waiting": waiting}))
        return 0
    if not runs:
        print(f"no such runs in {store}")
    for depth, run in _nested(runs):
        print(_line(depth, run))
    if waiting:
        print(f"{waiting} events are to be told to the tracking server; `ovlab runs publish` does")
    return 0


def _reap(arguments: argparse.Namespace) -> int:
    if not arguments.stale_after > 0:
        raise InputError(f"--stale-after must be a number of seconds above 0, got {arguments.stale_after:g}.")
    from ovlab.store.journal import end_silent, read_journal, why_dead

    store, names = _open(arguments.store)
    dead = []
    for run in names:
        log = read_journal(store, run)
        reasons = [reason for one in log.attempts if (reason := why_dead(one, arguments.stale_after)) is not None]
        if reasons:
            listed = _listed(store, log)
            dead.append({"run": run, "name": listed.name, "seconds": listed.silent_seconds, "reason": reasons[-1]})
            if not arguments.dry_run:
                end_silent(store, run, stale_after=arguments.stale_after)
    if arguments.json:
        print(json.dumps({"reaped": dead, "dry_run": arguments.dry_run}))
        return 0
    for entry in dead:
        print(f"{'dead' if arguments.dry_run else 'KILLED'}  {entry['name']}  {entry['reason']}")
    if not dead:
        print(f"no run is dead, or silent for more than {arguments.stale_after:g} s")
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    from ovlab.files.lock import TakenError, locked
    from ovlab.store.journal_file import send_left
    from ovlab.tracking.destination import destination

    store, _ = _open(arguments.store)
    to = destination(arguments.store)
    uri = to.require_uri()
    place = shown(uri)
    from ovlab.tracking.mlflow_client import Unavailable
    from ovlab.tracking.mlflow_server import MlflowServer
    from ovlab.tracking.publish import publish
    from ovlab.tracking.publisher import LOCK

    if not store.folder.is_local:
        send_left(store.folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(to.folder / LOCK, "publishing", seconds=_LOCK_SECONDS))
        except TakenError:
            raise WorkError(f"{store}: another process is publishing it; nothing is left to do here.") from None
        try:
            report = publish(store, MlflowServer(uri, to.artifacts), again=arguments.again)
        except Unavailable as error:
            raise WorkError(f"{place}: nothing can be told: {error}") from None
    if arguments.json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        left_out = f", {report.num_refused} left out" * bool(report.num_refused)
        print(f"{report.num_published} events told to {place}{left_out}")
    if report.problem is not None:
        raise WorkError(f"{place}: {report.num_waiting} events are still to be told: {report.problem}")
    return 0


def _open(uri: str) -> "tuple[Store, list[str]]":
    """The store and its runs. Raises InputError where a folder has none."""
    from ovlab.store.journal import journaled_runs
    from ovlab.store.store import open_store

    store = open_store(uri)
    names = journaled_runs(store)
    if not names and store.folder.is_local:
        num_records = len(store.folder.folders("trainings")) + len(store.folder.folders("evaluations"))
        if num_records:
            raise InputError(
                f"{store}: {num_records} trainings and evaluations there, of a version without journals; "
                f"`ovlab report` and `ovlab compare` read them."
            )
        raise InputError(f"{store}: no runs there; give --store.")
    return store, names


def _listed(store: "Store", log: "RunLog") -> ListedRun:
    from ovlab.specs.events import Recorded
    from ovlab.store.journal import status_of

    status, header = status_of(log), log.header
    evaluations = {told.event.fingerprint: None for told in log.events if isinstance(told.event, Recorded)}
    records = [record for print_ in evaluations if (record := store.evaluation(print_)) is not None]
    return ListedRun(
        run=log.run,
        name=log.run[:12] if header is None else header.name,
        experiment="" if header is None else header.experiment,
        parent=None if header is None else header.parent,
        status=status.status,
        attempt=status.attempt,
        began=round(1000 * log.attempts[0].began) if log.attempts else 0,
        last_sign=round(1000 * status.last_sign),
        silent_seconds=time.time() - status.last_sign,
        reason=status.reason,
        metrics={
            f"{record.evaluation.benchmark}/miou": value
            for record in records
            if (value := record.figures.get("miou")) is not None
        },
    )


def _nested(runs: list[ListedRun]) -> list[tuple[int, ListedRun]]:
    """The runs in order, each followed by its children, one deeper; those that are their own ancestors come last."""
    known = {run.run for run in runs}
    ordered: dict[str, tuple[int, ListedRun]] = {}

    def add(parent: str | None, depth: int) -> None:
        for run in runs:
            if (run.parent if run.parent in known else None) == parent and run.run not in ordered:
                ordered[run.run] = (depth, run)
                add(run.run, depth + 1)

    add(None, 0)
    return [*ordered.values(), *((0, run) for run in runs if run.run not in ordered)]


def _line(depth: int, run: ListedRun) -> str:
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.began / 1000))
    scores = [f"{key} {100 * value:.1f} %" for key, value in sorted(run.metrics.items())]
    silence = f"last sign {run.silent_seconds:.0f} s ago" if run.status == "RUNNING" else run.reason
    parts = [run.status, began, f"attempt {run.attempt}", ", ".join(scores), silence]
    return "  " * depth + "  ".join([run.name, *(part for part in parts if part), run.run[:12]])
