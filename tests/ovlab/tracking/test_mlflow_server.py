"""A real MLflow server that is killed and started again while a run goes on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_server import Server
from ovlab.specs.events import Ended, RunHeader, Step
from ovlab.store.journal import open_journal
from ovlab.store.store import Store
from ovlab.tracking.destination import Destination
from ovlab.tracking.mlflow_server import MlflowServer
from ovlab.tracking.publish import publish
from shown_runs import runs_at


def step(number: int) -> Step:
    return Step(step=number, loss=1 / number, learning_rate=0.1, grad_norm=0.1, images_per_second=1.0)


@pytest.fixture
def server(tracking: Destination, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, tracking.require_uri())
    server.start()
    yield server
    server.kill()


# Two starts of the server: under a minute on a machine that does nothing else.
@pytest.mark.timeout(900)
def test_run_goes_on_while_the_server_is_dead_and_nothing_is_lost_or_told_twice(server: Server, store: Store) -> None:
    server.wait()
    mlflow = MlflowServer(server.uri)
    with (
        open_journal(store, RunHeader(run="table4", name="Table 4")),
        open_journal(store, RunHeader(run="a", name="lambda 0.5", parent="table4", params={"seed": "1"})) as journal,
    ):
        for number in range(1, 21):
            journal.write(step(number))
        assert publish(store, mlflow).problem is None

        server.kill()
        began = time.monotonic()
        for number in range(21, 61):
            journal.write(step(number))
        journal.write(Ended(status="FINISHED"))
        assert time.monotonic() - began < 1.0
        assert journal.num_lost == 0
        report = publish(store, mlflow)
        assert report.problem is not None
        assert "no answer" in report.problem
        assert (report.num_published, report.num_refused, report.num_waiting) == (0, 0, 41)

        server.start_again()
        server.wait()
        report = publish(store, mlflow)

        assert (report.problem, report.num_published, report.num_waiting) == (None, 41, 0)
        runs = runs_at(server.uri)
        assert {name: run.info.status for name, run in runs.items()} == {"table4": "RUNNING", "a": "FINISHED"}
        history = mlflow.client.get_metric_history(runs["a"].info.run_id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(n, 1 / n) for n in range(1, 61)]
        assert runs["a"].data.tags["mlflow.parentRunId"] == runs["table4"].info.run_id
