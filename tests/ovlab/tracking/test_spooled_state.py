"""How a run stands, from its events alone."""

from pathlib import Path

from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.spooled_state import end_abandoned, spooled_state, spooled_states
from ovlab.tracking.tracker import RunHeader


def test_state_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    first = SpoolTracker(tmp_path, owner="first")
    first.start(RunHeader(run="a", name="a"))
    first.end("KILLED", "SIGTERM")
    second = SpoolTracker(tmp_path, owner="second")
    second.start(RunHeader(run="a", name="a", attempt=2))

    state = spooled_state(tmp_path / "a")
    assert state is not None
    assert (state.owner, state.status, state.header.attempt) == ("second", "RUNNING", 2)
    second.end("FINISHED")
    state = spooled_state(tmp_path / "a")
    assert state is not None
    assert state.status == "FINISHED"


def test_run_that_was_only_joined_here_is_not_ours(tmp_path: Path) -> None:
    SpoolTracker(tmp_path).join(RunHeader(run="a", name="a"))

    assert spooled_states(tmp_path) == []


def test_end_abandoned_kills_what_the_owner_left_running_and_nothing_else(tmp_path: Path) -> None:
    for run, owner, ended in (("left", "me", False), ("done", "me", True), ("other", "you", False)):
        tracker = SpoolTracker(tmp_path, owner=owner)
        tracker.start(RunHeader(run=run, name=run))
        if ended:
            tracker.end("FINISHED")

    assert end_abandoned(tmp_path, "me") == ["left"]
    assert {state.header.run: state.status for state in spooled_states(tmp_path)} == {
        "left": "KILLED",
        "done": "FINISHED",
        "other": "RUNNING",
    }
    assert end_abandoned(tmp_path, "me") == []
