"""What reaches a real MLflow database, and that telling it twice changes nothing."""

import json
import math
import sqlite3
import time
from pathlib import Path

import pytest

from ovlab.tracking.destination import Destination
from ovlab.tracking.mlflow_client import prepare_schema
from ovlab.tracking.mlflow_tracker import MlflowServer
from ovlab.tracking.reaper import reap_server, reap_spool, silent_in_spool, silent_on_server
from ovlab.tracking.replay import Refused, Unavailable, delivered_id, replay
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.tracker import RunHeader, TrackedDataset

TAGS = {"ovlab.command": "ovlab run table4 --store /stores/mine", "ovlab.commit": "c" * 40}
HEADER = RunHeader(run="a", name="lambda 0.5", parent="table4", params={"model.prior_weight": "0.5"}, tags=TAGS)


@pytest.fixture
def server(tracking: Destination) -> MlflowServer:
    assert tracking.uri is not None
    return MlflowServer(tracking.uri, tracking.artifacts)


@pytest.fixture
def tracker(tracking: Destination) -> SpoolTracker:
    return SpoolTracker(tracking.spool)


def rows(to: Destination) -> dict[str, list[tuple]]:
    """Every row of every table, but for what only says when it was written."""
    assert to.uri is not None
    database = sqlite3.connect(to.uri.removeprefix("sqlite:///"))
    names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    found = {name: sorted(database.execute(f'select * from "{name}"').fetchall(), key=repr) for name in names}
    database.close()
    return {name: content for name, content in found.items() if content}


def tell_everything(tracker: SpoolTracker, tmp_path: Path) -> None:
    SpoolTracker(tracker.folder).start(RunHeader(run="table4", name="Table 4"))
    tracker.start(HEADER)
    for step in range(700):
        tracker.metrics(step, {"loss": 1 / (step + 1), "lr": 0.125})
    tracker.metrics(700, {"loss": math.nan})
    tracker.tags({"ovlab.rows": "table4 half-6"})
    tracker.dataset(
        TrackedDataset(name="shapes-coco", digest="d" * 64, source="shapes-coco", context="training", num_samples=5)
    )
    tracker.table("per_class/a-150.json", {"class": ["road", "tree"], "iou": [0.5, math.nan]})
    (tmp_path / "overlay.png").write_bytes(b"a picture")
    tracker.artifact(tmp_path / "overlay.png", "pictures")
    tracker.heartbeat()
    tracker.end("FINISHED")


def test_run_arrives_whole_under_its_parent(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination, tmp_path: Path
) -> None:
    tell_everything(tracker, tmp_path)

    report = replay(tracking.spool, server)

    assert (report.num_refused, report.num_damaged, report.problem) == (0, 0, None)
    id = delivered_id(tracking.spool, "a", server.uri)
    assert id is not None
    run = server.client.get_run(id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lambda 0.5"
    assert run.data.params == {"model.prior_weight": "0.5"}
    assert run.data.tags["mlflow.parentRunId"] == delivered_id(tracking.spool, "table4", server.uri)
    assert run.data.tags["ovlab.rows"] == "table4 half-6"
    assert run.data.tags["mlflow.source.name"] == "ovlab run"
    assert run.data.tags["mlflow.source.git.commit"] == run.data.tags["ovlab.commit"] == "c" * 40
    history = server.client.get_metric_history(id, "loss")
    assert [point.step for point in history] == list(range(701))
    assert [point.value for point in history[:700]] == [1 / (step + 1) for step in range(700)]
    assert math.isnan(history[700].value)
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.digest) == ("shapes-coco", "d" * 36)
    assert json.loads(dataset.dataset.source)["digest"] == "d" * 64
    assert dataset.tags[0].value == "training"
    table = json.loads(Path(server.client.download_artifacts(id, "per_class/a-150.json")).read_text())
    assert table == {"columns": ["class", "iou"], "data": [["road", 0.5], ["tree", None]]}
    assert Path(server.client.download_artifacts(id, "pictures/overlay.png")).read_bytes() == b"a picture"
    assert {entry.run: entry.parent for entry in server.runs()} == {"table4": None, "a": "table4"}


def test_replay_again_changes_no_row(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination, tmp_path: Path
) -> None:
    tell_everything(tracker, tmp_path)
    replay(tracking.spool, server)
    before = rows(tracking)

    assert replay(tracking.spool, server).num_delivered == 0
    replay(tracking.spool, server, again=True)

    after = rows(tracking)
    assert after.keys() == before.keys()
    for table, content in before.items():
        assert after[table] == content, table


def test_second_attempt_goes_on_in_the_same_run_and_its_other_params_are_told(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination
) -> None:
    tracker.start(HEADER)
    tracker.end("KILLED", "SIGTERM")
    params = {"model.prior_weight": "0.7", "seed": "3"}
    tracker.start(RunHeader(run="a", name="lambda 0.5", params=params, attempt=2))
    replay(tracking.spool, server)

    (run,) = server.runs()
    assert (run.status, run.attempt) == ("RUNNING", "2")
    entity = server.client.get_run(run.id)
    assert entity.data.params == {"model.prior_weight": "0.5", "seed": "3"}
    assert "0.5 then, 0.7 now" in entity.data.tags["ovlab.params_conflict"]


def test_long_and_odd_texts_are_cut_to_what_mlflow_takes(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination
) -> None:
    params = {f"p{n}": "ü" * 7000 for n in range(150)}
    tracker.start(RunHeader(run="a", name="a", params=params, tags={"diff": "x" * 9000}))
    tracker.metrics(0, {f"class {n} (%)": 0.5 for n in range(1500)})

    report = replay(tracking.spool, server)

    assert (report.num_refused, report.problem) == (0, None)
    run = server.client.get_run(server.runs()[0].id)
    assert len(run.data.params) == 150
    assert len(run.data.metrics) == 1500
    assert len(run.data.tags["diff"]) == 8000


def test_ghost_of_a_repeated_request_is_removed(server: MlflowServer, tracking: Destination) -> None:
    id = server.start(HEADER, 1000)
    experiment = server.client.get_run(id).info.experiment_id
    server.client.create_run(experiment, start_time=2000, tags={"ovlab.run": "a"})

    assert server.start(HEADER, 1000) == id
    assert [run.id for run in server.runs()] == [id]


def test_run_that_a_person_deleted_stays_deleted(server: MlflowServer) -> None:
    id = server.start(HEADER, 1000)
    server.client.delete_run(id)

    with pytest.raises(Refused, match="deleted"):
        server.start(HEADER, 1000)


def test_experiment_that_a_person_deleted_comes_back_with_the_next_run(server: MlflowServer) -> None:
    server.client.delete_experiment(server.client.get_run(server.start(HEADER, 1000)).info.experiment_id)
    assert server.runs() == []

    another = MlflowServer(server.uri, server.artifacts)
    another.start(RunHeader(run="b", name="b"), 2000)

    assert "b" in {run.run for run in another.runs()}


def test_join_waits_for_the_process_that_starts_the_run(server: MlflowServer) -> None:
    with pytest.raises(Unavailable, match="first process"):
        server.join(HEADER)
    id = server.start(HEADER, 1000)

    assert server.join(HEADER) == id


def test_runs_are_listed_beyond_one_page(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovlab.tracking.mlflow_runs._PAGE", 2)
    for n in range(5):
        server.start(RunHeader(run=f"r{n}", name=f"r{n}"), 1000 + n)
    server.end(server.runs()[0].id, "FINISHED", "", 9000)

    assert [run.run for run in server.runs()] == ["r4", "r3", "r2", "r1", "r0"]
    assert [run.run for run in server.runs(only_running=True)] == ["r3", "r2", "r1", "r0"]


def test_reaper_kills_the_silent_here_and_elsewhere_and_nobody_else(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination
) -> None:
    now = int(1000 * time.time())
    server.start(RunHeader(run="elsewhere", name="elsewhere"), now - 600_000)
    server.start(RunHeader(run="elsewhere-alive", name="elsewhere alive"), now - 10_000)
    tracker.start(HEADER)
    replay(tracking.spool, server)

    assert silent_in_spool(tracking.spool, 300.0) == []
    assert [run.run for run in silent_on_server(server, tracking.spool, 300.0).values()] == ["elsewhere"]
    time.sleep(0.3)
    here = silent_in_spool(tracking.spool, 0.2)
    assert [run.run for run in here] == ["a"]
    reap_spool(tracking.spool, here)
    replay(tracking.spool, server)
    reap_server(server, silent_on_server(server, tracking.spool, 300.0))

    found = {run.run: run for run in server.runs()}
    assert {name: run.status for name, run in found.items()} == {
        "a": "KILLED",
        "elsewhere": "KILLED",
        "elsewhere-alive": "RUNNING",
    }
    assert "no sign of life for 60" in found["elsewhere"].reason
    assert silent_in_spool(tracking.spool, 0.0) == []


def test_run_that_was_reaped_and_beats_again_is_running_again(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination
) -> None:
    def status() -> str:
        replay(tracking.spool, server)
        return server.runs()[0].status

    tracker.start(HEADER)
    time.sleep(0.01)
    reap_spool(tracking.spool, silent_in_spool(tracking.spool, 0.001))
    assert status() == "KILLED"
    time.sleep(0.01)
    tracker.heartbeat()

    assert status() == "RUNNING"
    tracker.end("FINISHED")
    assert status() == "FINISHED"
    replay(tracking.spool, server, again=True)
    assert status() == "FINISHED"


def test_beat_that_comes_after_an_end_by_signal_changes_nothing(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination
) -> None:
    tracker.start(HEADER)
    time.sleep(0.01)
    reap_spool(tracking.spool, silent_in_spool(tracking.spool, 0.001))
    tracker.start(HEADER)
    tracker.end("KILLED", "SIGTERM")
    time.sleep(0.01)
    tracker.heartbeat()
    replay(tracking.spool, server)

    assert [(run.status, run.reason) for run in server.runs()] == [("KILLED", "SIGTERM")]


@pytest.fixture
def no_folder(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("")
    return f"sqlite:///{tmp_path}/file/mlflow.db"


def test_database_that_cannot_be_made_is_unavailable(no_folder: str) -> None:
    with pytest.raises(Unavailable):
        prepare_schema(no_folder)


def test_nothing_is_written_beside_the_store(
    server: MlflowServer, tracker: SpoolTracker, tracking: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    tell_everything(tracker, tmp_path)

    replay(tracking.spool, server)

    assert list((tmp_path / "cwd").iterdir()) == []
