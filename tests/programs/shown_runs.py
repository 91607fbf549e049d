"""The runs that MLflow shows, asked of MLflow."""

from typing import Any


def runs_at(uri: str) -> dict[str, Any]:
    """MLflow's entities by what ovlab calls the runs. No run is there twice."""
    from ovlab.tracking.mlflow_client import MlflowClient

    client = MlflowClient(uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments, "tags.`ovlab.run` != ''", max_results=1000)
    names = [run.data.tags["ovlab.run"] for run in found]
    assert len(names) == len(set(names))
    return dict(zip(names, found, strict=True))
