"""Where runs are tracked."""

import os
import signal
from pathlib import Path

import pytest

from ovlab.specs.errors import InputError
from ovlab.tracking.destination import destination


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_store_in_a_folder_holds_its_own_database(tmp_path: Path, scheme: str) -> None:
    to = destination(f"{scheme}{tmp_path}")

    assert to.uri == f"sqlite:///{tmp_path}/tracking/mlflow.db"
    assert to.folder.is_relative_to(tmp_path)
    assert to.artifacts is not None
    assert to.artifacts.is_relative_to(tmp_path)


def test_server_overrides_the_database_and_keeps_its_own_artifacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")

    to = destination(str(tmp_path))

    assert to.uri == "http://tracking:5000"
    assert to.artifacts is None


def test_store_in_a_bucket_needs_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = destination("s3://bucket/store/")

    assert to.folder.is_relative_to(tmp_path / "cache")
    assert to.folder == destination("s3://bucket/store").folder
    assert to.folder != destination("s3://bucket/other").folder
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI"):
        to.require_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert destination("s3://bucket/store").require_uri() == "http://tracking:5000"


def test_database_whose_making_was_killed_is_made_by_the_next_call(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    from ovlab.tracking.mlflow_client import prepare_schema

    database = tmp_path / "mlflow.db"
    child = os.fork()
    if child == 0:
        MlflowClient.search_experiments = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        prepare_schema(f"sqlite:///{database}")
        os._exit(0)
    os.waitpid(child, 0)
    assert not database.exists()

    prepare_schema(f"sqlite:///{database}")

    assert MlflowClient(f"sqlite:///{database}").get_experiment_by_name("Default") is not None
