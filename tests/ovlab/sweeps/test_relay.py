"""ovlab.sweeps.relay: what is told through messages is what is told directly."""

import pickle
from pathlib import Path

from ovlab.sweeps.relay import Deliveries, Message, RelayTracker
from ovlab.tracking.spool import SpoolTracker, read_events
from ovlab.tracking.spooled_state import spooled_states
from ovlab.tracking.tracker import RunHeader, TrackedDataset, TrackedModel, Tracker


def tell_everything(tracker: Tracker, file: Path) -> None:
    tracker.start(RunHeader(run="a", name="a", params={"seed": "1"}))
    tracker.metrics(3, {"loss": 0.5})
    tracker.tags({"host": "one"})
    tracker.artifact(file, "pictures")
    tracker.table("per_class.json", {"class": ["sky", "sea"], "iou": [0.5, None]})
    tracker.dataset(TrackedDataset(name="d", digest="e", source="s", context="training", num_samples=2))
    tracker.model(TrackedModel(weights="w", sha256="f", class_names=("sky",)))
    tracker.heartbeat()
    tracker.end("FAILED", "a reason")


def events(spool: Path) -> list[tuple[str, dict]]:
    read = list(read_events(spool / "a"))
    return [
        (event.kind, {key: value for key, value in event.content.items() if key not in ("time", "file")})
        for event in read
    ]


def test_messages_that_travelled_leave_the_events_of_direct_calls(tmp_path: Path) -> None:
    file = tmp_path / "overlay.png"
    file.write_bytes(b"a picture")
    deliveries = Deliveries(lambda: SpoolTracker(tmp_path / "relayed"))
    relay = RelayTracker(lambda message: deliveries.deliver(pickle.loads(pickle.dumps(message))))
    assert isinstance(relay, Tracker)

    tell_everything(SpoolTracker(tmp_path / "direct"), file)
    tell_everything(relay, file)

    assert events(tmp_path / "relayed") == events(tmp_path / "direct")
    (copy,) = (tmp_path / "relayed" / "a" / "files").rglob("overlay.png")
    assert copy.read_bytes() == b"a picture"


def test_run_whose_process_is_gone_is_killed_and_an_ended_one_stays_as_it_is(tmp_path: Path) -> None:
    deliveries = Deliveries(lambda: SpoolTracker(tmp_path))
    for name in ("ended", "lost"):
        deliveries.deliver(Message(name, "start", (RunHeader(run=name, name=name),)))
    deliveries.deliver(Message("ended", "end", ("FINISHED", "")))

    deliveries.abandon("its process was lost")

    assert {state.header.name: state.status for state in spooled_states(tmp_path)} == {
        "ended": "FINISHED",
        "lost": "KILLED",
    }
