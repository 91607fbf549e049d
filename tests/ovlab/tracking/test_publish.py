"""ovlab.tracking.publish: what reaches a real MLflow database, once, whatever happens on the way."""

import json
import logging
import math
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ovlab.specs.events import Beat, Begun, Checkpoint, Ended, Event, Recorded, RunHeader, Started, Step
from ovlab.store.journal_lines import seal
from ovlab.store.pictures import pictures_of
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store, evaluation_folder, open_store
from ovlab.tracking.destination import Destination
from ovlab.tracking.experiment_page import page_tags
from ovlab.tracking.mlflow_client import MlflowClient, Refused, Unavailable, prepare_schema
from ovlab.tracking.mlflow_server import MlflowServer
from ovlab.tracking.points import MAX_POINTS
from ovlab.tracking.publish import PublishReport, publish
from ovlab.tracking.published import num_waiting
from ovlab.tracking.tags import Child, TrackedDataset, children_tag, datasets_tag
from shown_runs import runs_at

Tell = Callable[..., str]
DATASET = TrackedDataset(name="shapes-coco", digest="d" * 64, source="/data", context="training", num_samples=5)
TAGS = {
    "ovlab.command": "ovlab run table4 --store /stores/mine",
    "ovlab.commit": "c" * 40,
    **datasets_tag([DATASET]),
}
SWEEP = RunHeader(run="table4", name="Table 4")


def header(run: str = "a", **changes: Any) -> RunHeader:
    values = {"name": "lambda 0.5", "parent": "table4", "params": {"model.prior_weight": "0.5"}, "tags": TAGS}
    return RunHeader(run=run, **{**values, **changes})


def started(header: RunHeader) -> Started:
    return Started(header=header, host="elsewhere", process=1)


def begun(total: int = 700, num_done: int = 0) -> Begun:
    return Begun(work="training", fingerprint="a", device="cpu", num_gpus=0, total=total, num_done=num_done)


def step(number: int, loss: float = 0.5) -> Step:
    return Step(step=number, loss=loss, learning_rate=0.125, grad_norm=0.1, images_per_second=1.0)


def run_of(number: int, first: int = 1) -> list[tuple[float, Event]]:
    """The events of so many updates."""
    steps = [(100.0 + n, step(n, 1 / n)) for n in range(first, first + number)]
    return [(99.0, started(header())), (99.5, begun()), *steps]


FINISHED = (9000.0, Ended(status="FINISHED"))


@pytest.fixture
def server(tracking: Destination) -> MlflowServer:
    return MlflowServer(tracking.require_uri(), tracking.artifacts)


@pytest.fixture
def whole(tell: Tell, store: Store, training: TrainingRecord, evaluation: EvaluationRecord) -> None:
    """A sweep with one run that told of everything."""
    tell("table4", [(90.0, started(SWEEP))])
    tell(
        "a",
        [
            *run_of(700),
            (900.0, Beat(metrics={"system/cpu_utilization_percentage": 12.5, "b": math.nan})),
            (901.0, Recorded(work="training", fingerprint=training.fingerprint)),
            (902.0, Recorded(work="evaluation", fingerprint=evaluation.fingerprint)),
            FINISHED,
        ],
    )


def steps_at(server: MlflowServer, run: str = "a", metric: str = "train/loss") -> list[int]:
    history = server.client.get_metric_history(runs_at(server.uri)[run].info.run_id, metric)
    return sorted(point.step for point in history)


def rows(to: Destination) -> dict[str, list[tuple]]:
    """Every row of every table."""
    database = sqlite3.connect(to.require_uri().removeprefix("sqlite:///"))
    names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
    found = {name: sorted(database.execute(f'select * from "{name}"').fetchall(), key=repr) for name in names}
    database.close()
    return {name: content for name, content in found.items() if content}


@pytest.mark.usefixtures("whole")
def test_run_arrives_whole_under_its_parent(server: MlflowServer, store: Store, training: TrainingRecord) -> None:
    report = publish(store, server)

    assert report == PublishReport(num_published=708, num_running=0)
    found = runs_at(server.uri)
    run, id = found["a"], found["a"].info.run_id
    assert (run.info.status, run.info.run_name) == ("FINISHED", "lambda 0.5")
    assert run.data.params == {"model.prior_weight": "0.5", "lambda": "0.5"}
    tags = run.data.tags
    assert tags["mlflow.parentRunId"] == found["table4"].info.run_id
    assert (tags["ovlab.parent"], tags["ovlab.attempt"], tags["ovlab.heartbeat"]) == ("table4", "1", "9000000")
    assert tags["mlflow.source.name"] == "ovlab run"
    assert tags["mlflow.source.git.commit"] == tags["ovlab.commit"] == "c" * 40
    assert "ovlab.datasets" not in tags
    history = server.client.get_metric_history(id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(n, 1 / n) for n in range(1, 701)]
    assert {"train/learning_rate", "train/grad_norm", "train/images_per_second"} < run.data.metrics.keys()
    assert "train/data_seconds" not in run.data.metrics
    assert run.data.metrics["system/cpu_utilization_percentage"] == 12.5
    assert math.isnan(run.data.metrics["b"])
    (cost,) = server.client.get_metric_history(id, "cost/gpu_seconds")
    assert (cost.value, cost.step) == (7201.0, 80_000)
    (miou,) = server.client.get_metric_history(id, "a-150/miou")
    assert (miou.value, miou.step) == (0.3125, 80_000)
    (percent,) = server.client.get_metric_history(id, "a-150 mIoU percent")
    assert (percent.value, percent.step) == (31.25, 80_000)
    assert run.data.metrics["a-150/num_images"] == 2000
    assert not {"a-150/unseen_miou", "a-150/num_pixels"} & run.data.metrics.keys()
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("shapes-coco", "d" * 36)
    assert json.loads(dataset.dataset.source) == {"uri": "/data", "digest": "d" * 64}
    assert dataset.tags[0].value == "training"
    table = json.loads(Path(server.client.download_artifacts(id, "per_class/a-150.json")).read_text())
    assert table["columns"][:2] == ["name", "iou"]
    assert table["data"] == [["sky", 0.5, None, 2**40, 0], ["road", None, None, 0, 0]]
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "per_class/a-150.json", "type": "table"}]
    assert Path(server.client.download_artifacts(id, "pictures/a-150.jpg")).stat().st_size > 0
    (model,) = server.client.search_logged_models([run.info.experiment_id])
    assert model.tags["ovlab.weights_sha256"] == training.weights.sha256
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


@pytest.mark.usefixtures("whole")
def test_what_a_person_changed_of_the_page_of_an_experiment_stays(server: MlflowServer, store: Store) -> None:
    publish(store, server)
    experiment = server.client.get_experiment_by_name("ovlab")
    assert experiment.tags == page_tags(experiment.experiment_id, TAGS)
    server.client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "Mine.")

    publish(store, server, again=True)

    assert server.client.get_experiment_by_name("ovlab").tags["mlflow.note.content"] == "Mine."


@pytest.mark.usefixtures("whole")
def test_everything_again_changes_no_row(server: MlflowServer, store: Store, tracking: Destination) -> None:
    publish(store, server)
    before = rows(tracking)

    assert publish(store, server).num_published == 0
    assert publish(store, server, again=True).num_published == 708

    after = rows(tracking)
    assert after.keys() == before.keys()
    for table, content in before.items():
        assert after[table] == content, table


def test_what_is_new_is_told_and_nothing_else(server: MlflowServer, store: Store, tell: Tell) -> None:
    told: list[tuple[float, Event]] = [(time.time(), started(header())), *((time.time(), step(n)) for n in (1, 2, 3))]
    tell("a", told)
    assert publish(store, server).num_published == 4
    tell("a", [*told, (time.time(), step(4)), (time.time(), Ended(status="FINISHED"))])

    assert num_waiting(store, server.uri) == 2
    assert publish(store, server).num_published == 2
    assert num_waiting(store, server.uri) == 0
    assert steps_at(server) == [1, 2, 3, 4]


def test_curve_is_thinned_and_has_its_ends(server: MlflowServer, store: Store, tell: Tell) -> None:
    total = 2 * MAX_POINTS + 1
    tell("a", [(99.0, started(header())), (99.5, begun(total)), *((100.0 + n, step(n)) for n in range(1, total + 1))])

    publish(store, server)

    assert steps_at(server) == [1, *range(3, total, 3), total]


def test_update_that_is_told_again_after_a_kill_is_one_point(server: MlflowServer, store: Store, tell: Tell) -> None:
    tell("a", run_of(7))
    publish(store, server)
    tell(
        "a",
        [(500.0, started(header())), (501.0, begun(num_done=5)), (502.0, step(6)), (503.0, step(7)), FINISHED],
        attempt=2,
    )

    publish(store, server)
    publish(store, server, again=True)

    assert steps_at(server) == [1, 2, 3, 4, 5, 6, 7]
    run = runs_at(server.uri)["a"]
    assert (run.info.status, run.data.tags["ovlab.attempt"]) == ("FINISHED", "2")


def test_record_that_two_attempts_tell_of_is_one_point(
    server: MlflowServer, store: Store, tell: Tell, evaluation: EvaluationRecord
) -> None:
    recorded = Recorded(work="evaluation", fingerprint=evaluation.fingerprint)
    tell("a", [*run_of(1), (200.0, recorded)])
    publish(store, server)
    tell("a", [(500.0, started(header())), (501.0, recorded), FINISHED], attempt=2)
    publish(store, server)

    assert steps_at(server, metric="a-150/miou") == [80_000]


def test_other_params_of_a_second_attempt_are_told(server: MlflowServer, store: Store, tell: Tell) -> None:
    tell("a", [*run_of(1), (200.0, Ended(status="KILLED", reason="SIGTERM"))])
    second = header(params={"model.prior_weight": "0.7", "seed": "3"})
    tell("a", [(time.time(), started(second))], attempt=2)

    publish(store, server)

    run = runs_at(server.uri)["a"]
    assert (run.info.status, run.data.tags["ovlab.attempt"]) == ("RUNNING", "2")
    assert run.data.params == {"model.prior_weight": "0.5", "lambda": "0.5", "seed": "3"}
    assert "0.5 then, 0.7 now" in run.data.tags["ovlab.params_conflict"]


def test_long_and_odd_texts_are_cut_to_what_mlflow_takes(server: MlflowServer, store: Store, tell: Tell) -> None:
    params = {f"p{n}": "ü" * 7000 for n in range(150)}
    beat = Beat(metrics={f"class {n} (%)": 0.5 for n in range(1500)})
    tell("a", [(1.0, started(header(params=params, tags={"diff": "x" * 9000}))), (2.0, beat), FINISHED])

    assert publish(store, server).num_refused == 0

    run = runs_at(server.uri)["a"]
    assert (len(run.data.params), len(run.data.metrics), len(run.data.tags["diff"])) == (150, 1500, 8000)


def test_sweep_lists_its_runs_with_their_scores_and_what_failed(
    server: MlflowServer, store: Store, tell: Tell, evaluation: EvaluationRecord
) -> None:
    tell("broken", [(1.0, started(header("broken"))), (2.0, Ended(status="FAILED", reason="the loss is nan"))])
    tell("full", [(1.0, started(header("full"))), (2.0, Ended(status="FINISHED"))])
    children = [
        Child(name="broken", training="broken", evaluations={"a-150": "0" * 64}),
        Child(name="full", training="full", evaluations={"a-150": evaluation.fingerprint}),
        Child(name="blocked", training=None, evaluations={"a-150": None}),
    ]
    tags = {"ovlab.kind": "table", **children_tag(children)}
    sweep = RunHeader(run="table4", name="Table 4", tags=tags)
    tell("table4", [(1.0, started(sweep)), (3.0, Ended(status="FAILED", reason="1 of 3 runs"))])

    publish(store, server)

    run = runs_at(server.uri)["table4"]
    assert (run.info.status, run.data.tags["ovlab.reason"]) == ("FAILED", "1 of 3 runs")
    assert "ovlab.children" not in run.data.tags
    table = json.loads(Path(server.client.download_artifacts(run.info.run_id, "runs.json")).read_text())
    assert table["columns"] == ["run", "fingerprint", "failed", "a-150"]
    assert table["data"] == [
        ["broken", "broken", "the loss is nan", None],
        ["full", "full", None, 0.3125],
        ["blocked", None, None, None],
    ]


def test_parents_come_before_their_children_and_circles_end(server: MlflowServer, store: Store, tell: Tell) -> None:
    for run, parent in (("a", "b"), ("b", "c"), ("c", None), ("d", "elsewhere"), ("e", "f"), ("f", "e")):
        tell(run, [(1.0, started(header(run, parent=parent))), FINISHED])

    assert publish(store, server).problem is None

    found = runs_at(server.uri)
    ids = {name: run.info.run_id for name, run in found.items()}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in found.items()}
    assert (parents["a"], parents["b"], parents["c"], parents["d"]) == (ids["b"], ids["c"], None, None)


def test_nothing_is_written_beside_the_store(
    whole: None, server: MlflowServer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    publish(store, server)

    assert list((tmp_path / "cwd").iterdir()) == []


# Runs that died, and how runs end.


def test_dead_run_is_ended_here_and_on_the_server_and_a_beat_brings_it_back(
    server: MlflowServer, store: Store, tell: Tell
) -> None:
    now = time.time()
    alive, dead = [(now, started(header("alive")))], [(now - 400, started(header("dead")))]
    tell("alive", alive)
    tell("dead", dead)

    assert publish(store, server).num_running == 1
    found = runs_at(server.uri)
    assert {name: run.info.status for name, run in found.items()} == {"alive": "RUNNING", "dead": "KILLED"}
    assert "no sign of life for 40" in found["dead"].data.tags["ovlab.reason"]

    tell("dead", [*dead, (time.time(), Beat())])
    publish(store, server)
    assert runs_at(server.uri)["dead"].info.status == "RUNNING"

    tell("dead", [*dead, (time.time(), Beat()), (time.time(), Ended(status="FINISHED"))])
    publish(store, server)
    assert runs_at(server.uri)["dead"].info.status == "FINISHED"
    publish(store, server, again=True)
    assert runs_at(server.uri)["dead"].info.status == "FINISHED"


# A server that goes away.

CALLS = (
    "search_runs",
    "create_run",
    "log_batch",
    "log_artifact",
    "log_text",
    "set_tag",
    "log_inputs",
    "set_terminated",
)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("num_calls", [0, 1, 3, 6, 10, 14, 18])
def test_server_that_goes_away_anywhere_is_told_the_rest_later_and_nothing_twice(
    server: MlflowServer, store: Store, monkeypatch: pytest.MonkeyPatch, num_calls: int
) -> None:
    left = num_calls
    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(MlflowClient, name, failing(getattr(MlflowClient, name), lambda: left <= 0, lambda: count()))
        patch.setattr(server, "answers", lambda: False)

        def count() -> None:
            nonlocal left
            left -= 1

        report = publish(store, server)
    assert report.problem == "away"
    assert report.num_waiting > 0

    assert publish(store, server) == PublishReport(num_published=report.num_waiting)

    assert num_waiting(store, server.uri) == 0
    found = runs_at(server.uri)
    assert {name: run.info.status for name, run in found.items()} == {"table4": "KILLED", "a": "FINISHED"}
    assert steps_at(server) == list(range(1, 701))
    assert steps_at(server, metric="a-150/miou") == [80_000]
    assert len(server.client.search_logged_models([found["a"].info.experiment_id])) == 1


def failing(method: Callable[..., Any], is_away: Callable[[], bool], count: Callable[[], None]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if is_away():
            raise ConnectionError("away")
        count()
        return method(*arguments, **options)

    return call


def test_run_that_the_server_cannot_take_now_does_not_hold_up_the_others(
    server: MlflowServer, store: Store, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in ("a", "b", "c"):
        tell(run, [(1.0, started(header(run, parent=None))), (2.0, Checkpoint(step=1)), FINISHED])
    describe = MlflowServer.describe

    def choosy(self: MlflowServer, id: str, params: Any, tags: dict[str, str]) -> None:
        if runs_at(server.uri).keys() == {"a"}:
            raise Unavailable("the bucket of this run is away")
        describe(self, id, params, tags)

    monkeypatch.setattr(MlflowServer, "describe", choosy)
    report = publish(store, server)

    assert (report.problem, report.num_waiting, report.num_published) == ("the bucket of this run is away", 3, 6)
    assert runs_at(server.uri)["c"].info.status == "FINISHED"


def test_what_is_refused_is_named_and_left_out(
    server: MlflowServer,
    store: Store,
    tell: Tell,
    training: TrainingRecord,
    evaluation: EvaluationRecord,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(self: MlflowServer, *arguments: Any) -> None:
        raise Refused("never")

    tell("a", [*run_of(2), (200.0, Recorded(work="training", fingerprint=training.fingerprint)), FINISHED])
    monkeypatch.setattr(MlflowServer, "model", refuse)

    report = publish(store, server)

    assert (report.num_refused, report.num_waiting, report.problem) == (1, 0, None)
    assert "never" in caplog.text
    assert runs_at(server.uri)["a"].info.status == "FINISHED"


@pytest.fixture
def address() -> Iterator[str]:
    """Of something that answers everything with a web page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<!DOCTYPE html>\n<html><body>Sign in\nhere</body></html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:secret@127.0.0.1:{server.server_port}"
    server.shutdown()


def cause_at(uri: str) -> str:
    with pytest.raises(Unavailable) as error:
        MlflowServer(uri)
    cause = str(error.value)
    assert "\n" not in cause
    assert "secret" not in cause
    assert len(cause) <= 300
    return cause


def test_cause_of_a_tracker_that_cannot_be_used_is_one_line_without_its_password(
    address: str, empty_database: Path, tmp_path: Path
) -> None:
    assert "a web page answers there, not MLflow" in cause_at(address)
    assert "refused" in cause_at("http://me:secret@127.0.0.1:9")
    (tmp_path / "text.db").write_text("no database" * 500)
    assert "not a database" in cause_at(f"sqlite:///{tmp_path}/text.db")
    (tmp_path / "file").write_text("")
    cause_at(f"sqlite:///{tmp_path}/file/mlflow.db")
    cause_at("gopher://nothing")
    (tmp_path / "folder.db").mkdir()
    assert "Is a directory" in cause_at(f"sqlite:///{tmp_path}/folder.db")
    with sqlite3.connect(tmp_path / "others.db") as database:
        database.execute("create table photographs (name text)")
    others = (tmp_path / "others.db").read_bytes()
    assert "not a database of MLflow (it has the table photographs)" in cause_at(f"sqlite:///{tmp_path}/others.db")
    assert (tmp_path / "others.db").read_bytes() == others

    shutil.copyfile(empty_database, tmp_path / "newer.db")
    with sqlite3.connect(tmp_path / "newer.db") as database:
        database.execute("update alembic_version set version_num = 'ffffffffffff'")
    assert "a newer MLflow than this one" in cause_at(f"sqlite:///{tmp_path}/newer.db")
    shutil.copyfile(tmp_path / "newer.db", tmp_path / "without.db")
    with sqlite3.connect(tmp_path / "without.db") as database:
        database.execute("drop table params")  # then MLflow takes it for an older one, and would have it upgraded
    assert "a newer MLflow than this one" in cause_at(f"sqlite:///{tmp_path}/without.db")
    with sqlite3.connect(tmp_path / "newer.db") as database:
        database.execute("update alembic_version set version_num = 'acf3f17fdcc7'")
    assert "mlflow db upgrade" in cause_at(f"sqlite:///{tmp_path}/newer.db")

    locked = sqlite3.connect(empty_database.parent / "locked.db")
    locked.execute("begin exclusive")
    assert "database is locked" in cause_at(f"sqlite:///{empty_database.parent}/locked.db")
    locked.close()


def test_database_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable):
        prepare_schema(f"sqlite:///{tmp_path}/file/mlflow.db")


# Runs that somebody else made or deleted.


def test_double_that_a_repeated_request_left_is_removed(server: MlflowServer, store: Store, tell: Tell) -> None:
    tell("a", run_of(2))
    publish(store, server)
    run = runs_at(server.uri)["a"]
    server.client.create_run(run.info.experiment_id, start_time=run.info.start_time + 1, tags={"ovlab.run": "a"})

    tell("a", run_of(3))
    publish(store, server)

    assert runs_at(server.uri)["a"].info.run_id == run.info.run_id
    assert steps_at(server) == [1, 2, 3]


def test_run_that_was_deleted_as_a_double_is_told_again_where_the_other_is(
    server: MlflowServer, store: Store, tell: Tell, tracking: Destination
) -> None:
    tell("a", [*run_of(3), FINISHED])
    publish(store, server)
    run = runs_at(server.uri)["a"].info
    other = server.client.create_run(run.experiment_id, start_time=run.start_time - 1, tags={"ovlab.run": "a"})
    server.client.delete_run(run.run_id)

    # Another process: this one has seen the run.
    assert publish(store, MlflowServer(server.uri, tracking.artifacts)).num_published == 6

    assert runs_at(server.uri)["a"].info.run_id == other.info.run_id
    assert steps_at(server) == [1, 2, 3]
    assert runs_at(server.uri)["a"].info.status == "FINISHED"


def test_run_that_a_person_deleted_stays_deleted(server: MlflowServer, store: Store, tell: Tell) -> None:
    tell("a", run_of(3))
    publish(store, server)
    server.client.delete_run(runs_at(server.uri)["a"].info.run_id)
    tell("a", run_of(4))
    tell("b", [(1.0, started(header("b")))])

    report = publish(store, server)

    assert (report.num_refused, report.problem) == (1, None)
    assert runs_at(server.uri).keys() == {"b"}


def test_experiment_that_a_person_deleted_comes_back_with_the_next_run(
    server: MlflowServer, store: Store, tell: Tell, tracking: Destination
) -> None:
    tell("a", run_of(1))
    publish(store, server)
    server.client.delete_experiment(runs_at(server.uri)["a"].info.experiment_id)
    assert runs_at(server.uri) == {}
    tell("b", [(1.0, started(header("b")))])

    publish(store, MlflowServer(server.uri, tracking.artifacts))

    assert "b" in runs_at(server.uri)


def test_server_that_lost_everything_is_told_everything(
    server: MlflowServer, store: Store, tell: Tell, tracking: Destination, empty_database: Path
) -> None:
    tell("a", [*run_of(3), FINISHED])
    publish(store, server)
    shutil.copyfile(empty_database, Path(tracking.require_uri().removeprefix("sqlite:///")))

    publish(store, MlflowServer(server.uri, tracking.artifacts))

    assert steps_at(server) == [1, 2, 3]


# Two who publish the same.


@pytest.mark.usefixtures("whole")
def test_two_copies_of_a_store_tell_each_point_once_at_the_same_time(
    server: MlflowServer, store: Store, tmp_path: Path, tracking: Destination
) -> None:
    shutil.copytree(tmp_path / "store", tmp_path / "copy", ignore=shutil.ignore_patterns("tracking"))
    begin = threading.Barrier(2)
    reports = {}

    def publish_there(place: str) -> None:
        mine = MlflowServer(server.uri, tracking.artifacts)
        begin.wait()
        for _ in range(20):
            reports[place] = publish(open_store(str(tmp_path / place)), mine)
            if reports[place].problem is None:
                return

    threads = [threading.Thread(target=publish_there, args=(place,)) for place in ("store", "copy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.problem for report in reports.values()] == [None, None]
    found = runs_at(server.uri)
    assert found.keys() == {"table4", "a"}
    assert found["a"].data.tags["mlflow.parentRunId"] == found["table4"].info.run_id
    assert steps_at(server) == list(range(1, 701))
    for metric in found["a"].data.metrics:
        points = [(p.step, p.value) for p in server.client.get_metric_history(found["a"].info.run_id, metric)]
        assert len(points) == len({step for step, _ in points}), metric
    assert len(server.client.search_logged_models([found["a"].info.experiment_id])) == 1
    # Whoever looks again finds nothing to tell.
    for place in ("store", "copy"):
        publish(open_store(str(tmp_path / place)), MlflowServer(server.uri, tracking.artifacts))
    assert steps_at(server) == list(range(1, 701))
    assert runs_at(server.uri)["a"].info.run_id == found["a"].info.run_id


def test_who_makes_a_run_that_another_makes_too_goes_on_with_the_one_that_stays(
    server: MlflowServer, store: Store, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell("a", [*run_of(3), FINISHED])
    metrics, others = MlflowServer.metrics, []

    def interrupted(self: MlflowServer, id: str, points: Any) -> None:
        if not others:
            # The other saw both, and deleted this one.
            info = self.client.get_run(id).info
            other = self.client.create_run(info.experiment_id, start_time=info.start_time, tags={"ovlab.run": "a"})
            others.append(other.info.run_id)
            self.client.delete_run(id)
        metrics(self, id, points)

    monkeypatch.setattr(MlflowServer, "metrics", interrupted)
    report = publish(store, server)

    assert (report.problem, report.num_refused) == (None, 0)
    assert runs_at(server.uri)["a"].info.run_id == others[0]
    assert steps_at(server) == [1, 2, 3]


# Damage.


def cursor_of(store: Store, run: str = "a") -> Path:
    (path,) = Path(str(store), "journals", run).glob("published-*.json")
    return path


def cursors(content: bytes) -> Iterator[bytes]:
    """What may become of the file of a cursor."""
    for position in range(0, len(content), 5):
        yield content[:position] + bytes([content[position] ^ 0x11]) + content[position + 1 :]
    yield from (b"", b"\n", content[:-1], content[:40], content + content, b"\xff" * 50, b"{}\n", seal(b"{}"))
    fields = json.loads(content[9:])
    others: list[Any] = [None, True, -1, 10**9, 1.5, "x", [], {}, [1], {"a": 1}]
    for name in fields:
        yield seal(json.dumps({key: value for key, value in fields.items() if key != name}).encode())
        for other in others:
            yield seal(json.dumps({**fields, name: other}).encode())
    for name in ("positions", "sizes"):
        for other in [*others, 7]:
            changed = {**fields, name: dict.fromkeys(fields[name], other)}
            yield seal(json.dumps(changed).encode())


def test_damaged_cursor_tells_everything_again_and_stops_no_other_run(
    server: MlflowServer, store: Store, tell: Tell, tracking: Destination
) -> None:
    tell("a", [*run_of(2), FINISHED])
    publish(store, server)
    before = rows(tracking)
    content = cursor_of(store).read_bytes()

    for number, damaged in enumerate(cursors(content)):
        if number % 4 == 0:  # every fourth with news of another run
            tell(f"b{number}", [(1.0, started(header(f"b{number}", parent=None))), FINISHED])
        cursor_of(store).write_bytes(damaged)
        report = publish(store, server)
        assert (report.problem, report.num_waiting) == (None, 0), damaged
        assert number % 4 or report.num_published >= 2, damaged
        assert num_waiting(store, server.uri) == 0

    after = rows(tracking)
    assert steps_at(server) == [1, 2]
    assert [row for row in after["metrics"] if row in before["metrics"]] == before["metrics"]
    assert len(after["metrics"]) == len(before["metrics"])


def test_byte_changed_anywhere_in_a_journal_stops_no_other_run(server: MlflowServer, store: Store, tell: Tell) -> None:
    def tell_all(run: str) -> str:
        return tell(run, [(99.0, started(header(run))), *run_of(2)[1:], FINISHED])

    positions = range(0, len(store.folder.read(tell_all("whole"))), 17)
    for position in positions:
        name = tell_all(f"p{position}")
        content = store.folder.read(name)
        store.folder.write(name, content[:position] + bytes([content[position] ^ 0x11]) + content[position + 1 :])
    tell("z", [(1.0, started(header("z", parent="p0"))), (2.0, step(1)), FINISHED])

    report = publish(store, server)

    assert report.problem is None
    found = runs_at(server.uri)
    assert found["z"].info.status == found["whole"].info.status == "FINISHED"
    assert steps_at(server, "z") == [1]
    # Those whose name can be read have what can be read.
    assert len(found) > len(positions) / 3
    assert all(steps_at(server, name) in ([1, 2], [1], [2]) for name in found if name != "z")
    assert num_waiting(store, server.uri) == 0
    assert publish(store, server).num_published == 0


def test_tags_that_cannot_be_read_and_records_that_are_gone_stop_nothing(
    server: MlflowServer, store: Store, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    tags = {"ovlab.kind": "table", "ovlab.datasets": "[{}]", "ovlab.children": "nonsense"}
    gone = [Recorded(work="training", fingerprint="gone"), Recorded(work="evaluation", fingerprint="gone too")]
    events = [(1.0, started(header(tags=tags))), *((2.0, event) for event in gone), (3.0, step(10**30)), (4.0, step(1))]
    tell("a", [*events, FINISHED])
    tell("b", [(1.0, started(header("b"))), FINISHED])

    report = publish(store, server)

    assert (report.num_refused, report.problem) == (4, None)
    assert {name: run.info.status for name, run in runs_at(server.uri).items()} == {"a": "FINISHED", "b": "FINISHED"}
    assert steps_at(server) == [1]


def test_pictures_that_are_damaged_cost_themselves_alone(
    server: MlflowServer, store: Store, tell: Tell, evaluation: EvaluationRecord, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = pictures_of(store, evaluation.fingerprint)
    assert pictures is not None
    folder = f"{evaluation_folder(evaluation.fingerprint)}/pictures"
    store.folder.write(f"{folder}/{pictures.files[0]}", b"no picture")
    tell("a", [*run_of(1), (2.0, Recorded(work="evaluation", fingerprint=evaluation.fingerprint)), FINISHED])

    with caplog.at_level(logging.WARNING):
        assert publish(store, server).num_refused == 1
    store.folder.write(f"{folder}/index.json", b"[")
    assert publish(store, server, again=True).num_refused == 1

    assert runs_at(server.uri)["a"].data.metrics["a-150/miou"] == 0.3125
