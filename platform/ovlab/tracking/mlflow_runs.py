"""The runs of a tracking server, found by what ovlab calls them.

A run carries its identity in the tag ovlab.run, by which any process finds it again, so that none is made twice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ovlab.tracking.mlflow_client import MlflowClient, MlflowException

# isort: split
from mlflow.entities import Run, ViewType

from ovlab.tracking import limits
from ovlab.tracking.replay import Refused, Unavailable
from ovlab.tracking.tags import RUN
from ovlab.tracking.tracked_run import TrackedRun, tracked_run
from ovlab.tracking.tracker import RunHeader

_PAGE = 1000


class RunIndex:
    """Finds, makes and lists runs. `artifacts` is where a database without a server keeps those of a new experiment."""

    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self._client = client
        self._artifacts = artifacts
        self._experiments: dict[str, str] = {}

    def find(self, experiment: str, run: str) -> Run | None:
        """The run with this identity. Of two, which a repeated request can leave, the older stays."""
        found = self._client.search_runs(
            [self._experiment(experiment)],
            f"tags.`{RUN}` = '{run}'",
            run_view_type=ViewType.ALL,
            order_by=["start_time ASC"],
        )
        active = [entry for entry in found if entry.info.lifecycle_stage == "active"]
        if found and not active:
            raise Refused(f"{run} was deleted on the server")
        for ghost in active[1:]:
            self._client.delete_run(ghost.info.run_id)
        return active[0] if active else None

    def create(self, run: RunHeader, time: int) -> Run:
        """A new run, or the older one of a process that was as quick."""
        self._client.create_run(
            self._experiment(run.experiment), start_time=time, tags={RUN: run.run}, run_name=run.name
        )
        found = self.find(run.experiment, run.run)
        if found is None:
            raise Unavailable(f"{run.run}: made, but not found again")
        return found

    def all(self, *, only_running: bool) -> list[TrackedRun]:
        """Every run that ovlab tracks, the newest first."""
        experiments = {entry.experiment_id: entry.name for entry in _pages(self._client.search_experiments)}
        if not experiments:
            return []
        query = f"tags.`{RUN}` != ''" + (" AND attributes.status = 'RUNNING'" if only_running else "")

        def search(max_results: int, page_token: Any) -> Any:
            return self._client.search_runs(
                list(experiments), query, max_results=max_results, page_token=page_token, order_by=["start_time DESC"]
            )

        return [tracked_run(run, experiments[run.info.experiment_id]) for run in _pages(search)]

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_experiment(name)
        return self._experiments[name]

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = None if self._artifacts is None else (self._artifacts / limits.valid_key(name)).as_uri()
            try:
                return self._client.create_experiment(name, artifact_location=location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                raise Unavailable(f"experiment {name}: another process is making it") from error
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id


def _pages(search: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
