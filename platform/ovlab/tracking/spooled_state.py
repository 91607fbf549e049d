"""What the events of one run say together: which run, who owned it last, and how it stands."""

from pathlib import Path
from typing import Literal, NamedTuple

from ovlab.tracking.spool import append_event, read_events, spooled_runs
from ovlab.tracking.tracker import RunHeader, Status

ABANDONED = "the process of the run ended without saying how (killed, or the machine went down)"


class SpooledState(NamedTuple):
    """`header` is that of the last attempt; `last_sign` the time of the newest event, in ms since 1970."""

    folder: Path
    header: RunHeader
    owner: str
    status: Literal["RUNNING"] | Status
    last_sign: int


def spooled_states(spool: Path) -> list[SpooledState]:
    """The state of every run that was started through `spool`; runs only joined there belong to another machine."""
    states = [spooled_state(run) for run in spooled_runs(spool)]
    return [state for state in states if state is not None]


def spooled_state(run: Path) -> SpooledState | None:
    """The state of the run in the folder `run`, or None when no start of it was written there."""
    state: SpooledState | None = None
    for event in read_events(run):
        if event.kind == "start":
            header, owner = read_header(event.content), event.content["owner"]
            state = SpooledState(run, header, owner, "RUNNING", event.content["time"])
        elif state is not None and event.kind != "damaged":
            status = event.content["status"] if event.kind == "end" else state.status
            state = state._replace(status=status, last_sign=event.content["time"])
    return state


def read_header(content: dict) -> RunHeader:
    """The header inside a start or join event."""
    return RunHeader(**content["header"])


def end_abandoned(spool: Path, owner: str) -> list[str]:
    """Write KILLED into the runs that `owner`, which is no more, left running. Returns their names."""
    left = [state for state in spooled_states(spool) if state.owner == owner and state.status == "RUNNING"]
    for state in left:
        append_event(state.folder, "end", status="KILLED", reason=ABANDONED)
    return [state.header.name for state in left]
