"""Databases of MLflow that are ready at once."""

import shutil
from pathlib import Path

import pytest

from ovlab.tracking.destination import Destination, destination


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of MLflow without a row; making them takes seconds, copying them none."""
    from ovlab.tracking.mlflow_client import prepare_schema

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare_schema(f"sqlite:///{file}")
    return file


@pytest.fixture
def tracking(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    """The tracking of the store `tmp_path`/store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "store" / "tracking").mkdir(parents=True)
    shutil.copyfile(empty_database, tmp_path / "store" / "tracking" / "mlflow.db")
    return destination(str(tmp_path / "store"))
