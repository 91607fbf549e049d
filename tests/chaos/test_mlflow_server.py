"""SIGKILL of the MLflow server under a sweep: the sweep does not notice, and the server is told everything later."""

from pathlib import Path

import pytest

import micro_sweep as micro
from mlflow_server import Server
from ovlab.tracking.mlflow_client import MlflowClient
from shown_runs import runs_at


@pytest.mark.timeout(900)
def test_sweep_goes_on_without_its_server_which_is_told_everything_later(tmp_path: Path) -> None:
    server, folder = Server(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"), tmp_path / "sweep"
    server.start()
    try:
        server.wait()
        driver = micro.start(folder, "--runs-at-once", "1", MLFLOW_TRACKING_URI=server.uri)
        micro.wait_until(lambda: micro.run_under_way(folder) or driver.poll() is not None, 300)
        run = micro.run_under_way(folder)
        assert run is not None, micro.errors_of(folder)

        server.kill()

        assert driver.wait() == micro.CODE, micro.errors_of(folder)
        server.start_again()
        server.wait()
        assert micro.on_the_server(folder, MLFLOW_TRACKING_URI=server.uri) == micro.END
        history = MlflowClient(server.uri).get_metric_history(runs_at(server.uri)[run].info.run_id, "train/loss")
        assert [point.step for point in history] == list(range(1, micro.NUM_STEPS + 1))
    finally:
        server.kill()
