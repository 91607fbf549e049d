"""Runs that say RUNNING but have been silent too long are KILLED."""

import time
from pathlib import Path
from typing import NamedTuple

from ovlab.tracking.mlflow_tracker import MlflowServer
from ovlab.tracking.spool import append_event
from ovlab.tracking.spooled_state import spooled_states


class Silent(NamedTuple):
    """A run that says RUNNING, and the seconds since its last sign of life."""

    run: str
    name: str
    seconds: float


def silent_in_spool(spool: Path, stale_after: float) -> list[Silent]:
    """The runs of this machine that are RUNNING and silent for more than `stale_after` seconds."""
    now = time.time()
    states = [state for state in spooled_states(spool) if state.status == "RUNNING"]
    silent = [Silent(state.header.run, state.header.name, now - state.last_sign / 1000) for state in states]
    return [run for run in silent if run.seconds > stale_after]


def silent_on_server(server: MlflowServer, spool: Path, stale_after: float) -> dict[str, Silent]:
    """The same for the server, by its ids. Runs that this machine knows to be alive are left out."""
    now = time.time()
    alive = {
        state.header.run
        for state in spooled_states(spool)
        if state.status == "RUNNING" and now - state.last_sign / 1000 <= stale_after
    }
    running = [run for run in server.runs(only_running=True) if run.run not in alive]
    silent = {run.id: Silent(run.run, run.name, now - run.last_sign / 1000) for run in running}
    return {id: run for id, run in silent.items() if run.seconds > stale_after}


def reap_spool(spool: Path, silent: list[Silent]) -> None:
    """Write KILLED into the spool; a replay brings it to the server. A run that beats again later is RUNNING again."""
    for run in silent:
        append_event(spool / run.run, "end", status="KILLED", reason=_reason(run), reaped=True)


def reap_server(server: MlflowServer, silent: dict[str, Silent]) -> None:
    """Write KILLED on the server, for runs of other machines."""
    now = int(1000 * time.time())
    for id, run in silent.items():
        server.end(id, "KILLED", _reason(run), now, reaped=True)


def _reason(run: Silent) -> str:
    return f"no sign of life for {run.seconds:.0f} s"
