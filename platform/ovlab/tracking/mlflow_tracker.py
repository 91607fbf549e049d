"""MLflow as the server that the spool is replayed to: what each event of a run becomes there.

Every call names its run: nothing here uses MLflow's notion of an active run or experiment, which are global.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ovlab.tracking.mlflow_client import MlflowClient, MlflowException, answered, prepare_schema

# isort: split
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from ovlab.tracking import limits
from ovlab.tracking.mlflow_models import log_model_once
from ovlab.tracking.mlflow_runs import RunIndex
from ovlab.tracking.provenance import UNKNOWN
from ovlab.tracking.replay import MetricPoint, Refused, Unavailable
from ovlab.tracking.tags import ATTEMPT, COMMAND, COMMIT, HEARTBEAT, PARAMS_CONFLICT, PARENT, REAPED, REASON
from ovlab.tracking.tracked_run import TrackedRun
from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel


class MlflowServer:
    """The tracking server at `uri`. `artifacts` is where a database without a server keeps artifacts."""

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.artifacts = artifacts
        prepare_schema(uri)
        self.client = MlflowClient(uri)
        self._index = RunIndex(self.client, artifacts)

    def answers(self) -> bool:
        try:
            self.client.search_experiments(max_results=1)
        except (MlflowException, OSError):
            return False
        return True

    @answered
    def start(self, run: RunHeader, time: int) -> str:
        found = self._index.find(run.experiment, run.run) or self._index.create(run, time)
        id = found.info.run_id
        self._write_params(found, run.params)
        said = {ATTEMPT: str(run.attempt), HEARTBEAT: str(time), **self._parent_tags(run)}
        self._write_tags(id, {**run.tags, **_source_tags(run.tags), **said})
        if found.info.status != "RUNNING":
            self.client.update_run(id, status="RUNNING")
        return id

    @answered
    def join(self, run: RunHeader) -> str:
        found = self._index.find(run.experiment, run.run)
        if found is None:
            raise Unavailable(f"{run.run}: its first process has not reached the server yet")
        return found.info.run_id

    @answered
    def metrics(self, id: str, points: Sequence[MetricPoint]) -> None:
        metrics = [Metric(limits.valid_key(point.key), point.value, point.time, point.step) for point in points]
        for batch in limits.batches(metrics, limits.MAX_METRICS):
            self.client.log_batch(id, metrics=batch)

    @answered
    def tags(self, id: str, values: Mapping[str, str]) -> None:
        self._write_tags(id, values)

    @answered
    def heartbeat(self, id: str, time: int) -> None:
        run = self.client.get_run(id)
        # A machine that slept is taken for dead; when it goes on, so does its run.
        reaped = run.data.tags.get(REAPED)
        if run.info.status == "KILLED" and reaped and int(reaped) < time:
            self.client.update_run(id, status="RUNNING")
            self._write_tags(id, {REAPED: ""})
        self._write_tags(id, {HEARTBEAT: str(time)})

    @answered
    def artifact(self, id: str, path: Path, folder: str) -> None:
        if not path.is_file():
            raise Refused(f"{path.name} is no longer in the spool")
        self.client.log_artifact(id, str(path), folder or None)

    @answered
    def table(self, id: str, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        # The form that MLflow's page draws as a table.
        content = {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
        self.client.log_text(id, json.dumps(content), name)
        tag = "mlflow.loggedArtifacts"
        listed = json.loads(self.client.get_run(id).data.tags.get(tag, "[]"))
        if all(entry["path"] != name for entry in listed):
            self.client.set_tag(id, tag, json.dumps([*listed, {"path": name, "type": "table"}]))

    @answered
    def dataset(self, id: str, dataset: TrackedDataset) -> None:
        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest[: limits.MAX_DATASET_DIGEST],
            source_type="ovlab",
            source=json.dumps({"uri": dataset.source, "digest": dataset.digest}),
            profile=json.dumps({"num_samples": dataset.num_samples}),
        )
        context = InputTag("mlflow.data.context", dataset.context)
        self.client.log_inputs(id, datasets=[DatasetInput(entity, [context])])

    @answered
    def model(self, id: str, model: TrackedModel) -> None:
        log_model_once(self.client, self.client.get_run(id), model)

    @answered
    def end(self, id: str, status: Status, reason: str, time: int, *, reaped: bool = False) -> None:
        self._write_tags(id, {REASON: reason, REAPED: str(time) if reaped else ""})
        self.client.set_terminated(id, status=status, end_time=time)

    @answered
    def runs(self, *, only_running: bool = False) -> list[TrackedRun]:
        """Every run that ovlab tracks, the newest first."""
        return self._index.all(only_running=only_running)

    def _write_params(self, found: Run, params: Mapping[str, str]) -> None:
        known = found.data.params
        wanted = {
            key: value
            for batch in limits.text_batches(params, max_value=limits.MAX_PARAM_VALUE)
            for key, value in batch.items()
        }
        new = {key: value for key, value in wanted.items() if key not in known}
        for batch in limits.text_batches(new, max_value=limits.MAX_PARAM_VALUE):
            self.client.log_batch(found.info.run_id, params=[Param(key, value) for key, value in batch.items()])
        changed = [
            f"{key}: {known[key]} then, {value} now"
            for key, value in wanted.items()
            if key in known and known[key] != value
        ]
        if changed:
            self._write_tags(found.info.run_id, {PARAMS_CONFLICT: "; ".join(changed)})

    def _write_tags(self, id: str, tags: Mapping[str, str]) -> None:
        for batch in limits.text_batches(tags, max_value=limits.MAX_TAG_VALUE):
            self.client.log_batch(id, tags=[RunTag(key, value) for key, value in batch.items()])

    def _parent_tags(self, run: RunHeader) -> dict[str, str]:
        if run.parent is None:
            return {}
        parent = self._index.find(run.experiment, run.parent)
        return {PARENT: run.parent} | ({"mlflow.parentRunId": parent.info.run_id} if parent else {})


def _source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Where a run comes from, by the names under which MLflow's pages show it: its command, shortened, and commit."""
    command, commit = tags.get(COMMAND, UNKNOWN), tags.get(COMMIT, UNKNOWN)
    shown = {"mlflow.source.name": " ".join(command.split()[:2]), "mlflow.source.git.commit": commit}
    known = {name: value for name, value in shown.items() if value != UNKNOWN}
    return {"mlflow.source.type": "LOCAL", **known} if known else {}
