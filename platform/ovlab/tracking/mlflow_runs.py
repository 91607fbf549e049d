"""The runs of a tracking server, found by what ovlab calls them.

A run carries its identity in the tag ovlab.run, by which any process finds it again. Two that make it at the same time
make two, and agree on which stays.
"""

from pathlib import Path

from ovlab.tracking.mlflow_client import MlflowClient, MlflowException, Refused, Unavailable

# isort: split
from mlflow.entities import Run, ViewType

from ovlab.tracking import mlflow_limits
from ovlab.tracking.tags import RUN


class RunIndex:
    """Finds and makes runs. `artifacts` is where a database without a server keeps those of a new experiment."""

    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self._client = client
        self._artifacts = artifacts
        self._experiments: dict[str, str] = {}

    def find(self, experiment: str, run: str) -> Run | None:
        """The run with this identity. Of several, the first by start and id stays, and the others are deleted."""
        found = self._client.search_runs(
            [self._experiment(experiment)], f"tags.`{RUN}` = '{run}'", run_view_type=ViewType.ALL
        )
        active = [entry for entry in found if entry.info.lifecycle_stage == "active"]
        if found and not active:
            raise Refused(f"{run} was deleted on the server")
        active.sort(key=lambda entry: (entry.info.start_time, entry.info.run_id))
        for double in active[1:]:
            self._delete(double.info.run_id)
        return active[0] if active else None

    def create(self, experiment: str, run: str, name: str, time: int) -> Run:
        """A new run that began at `time`, in ms since 1970; or that of a process that was as quick."""
        self._client.create_run(self._experiment(experiment), start_time=time, tags={RUN: run}, run_name=name)
        found = self.find(experiment, run)
        if found is None:
            raise Unavailable(f"{run}: made, but not found again")
        return found

    def _delete(self, id: str) -> None:
        try:
            self._client.delete_run(id)
        except MlflowException:
            # The other process, which chose the same, was quicker.
            if self._client.get_run(id).info.lifecycle_stage == "active":
                raise

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_experiment(name) or self._make_experiment(name)
        return self._experiments[name]

    def _find_experiment(self, name: str) -> str | None:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _make_experiment(self, name: str) -> str:
        location = None if self._artifacts is None else (self._artifacts / mlflow_limits.valid_key(name)).as_uri()
        try:
            return self._client.create_experiment(name, artifact_location=location)
        except MlflowException:
            # Another process made it meanwhile.
            found = self._find_experiment(name)
            if found is None:
                raise
            return found
