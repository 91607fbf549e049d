"""MLflow as the server that a run is published to. Whatever is told twice changes nothing there.

Every call names its run: nothing here uses MLflow's notion of an active run or experiment, which are global.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ovlab.tracking.mlflow_client import MlflowClient, Unavailable, answered, prepare_schema

# isort: split
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from ovlab.specs.events import Status
from ovlab.tracking import mlflow_limits
from ovlab.tracking.experiment_page import page_tags
from ovlab.tracking.mlflow_models import TrackedModel, log_model_once
from ovlab.tracking.mlflow_runs import RunIndex
from ovlab.tracking.points import MetricPoint
from ovlab.tracking.tags import PARAMS_CONFLICT, REASON, TrackedDataset

_LARGEST_STEP = 2**63


class MlflowServer:
    """The tracking server at `uri`. `artifacts` is where a database without a server keeps artifacts.

    Every method raises Unavailable or Refused, and nothing else; `id` is the server's name for a run.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        prepare_schema(uri)
        self.client = MlflowClient(uri)
        self._index = RunIndex(self.client, artifacts)
        # What was found there in this process: runs and ids.
        self.known: set[tuple[str, str]] = set()

    def answers(self) -> bool:
        try:
            with answered():
                self.client.search_experiments(max_results=1)
        except Unavailable:
            return False
        return True

    @answered()
    def find(self, experiment: str, run: str) -> str | None:
        """None for a run that was never told. Raises Refused for one that a person deleted."""
        found = self._index.find(experiment, run)
        return None if found is None else found.info.run_id

    @answered()
    def open(self, experiment: str, run: str, name: str, time: int) -> str:
        """Find the run, or make it as begun at `time`, in ms since 1970."""
        found = self._index.find(experiment, run) or self._index.create(experiment, run, name, time)
        return found.info.run_id

    @answered()
    def describe(self, id: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Params are written once; others in a later attempt are told in a tag."""
        known = self.client.get_run(id).data.params
        wanted = {
            key: value
            for batch in mlflow_limits.text_batches(params, max_value=mlflow_limits.MAX_PARAM_VALUE)
            for key, value in batch.items()
        }
        new = {key: value for key, value in wanted.items() if key not in known}
        for batch in mlflow_limits.text_batches(new, max_value=mlflow_limits.MAX_PARAM_VALUE):
            self.client.log_batch(id, params=[Param(key, value) for key, value in batch.items()])
        changed = [
            f"{key}: {known[key]} then, {value} now" for key, value in wanted.items() if known.get(key, value) != value
        ]
        self.tags(id, {PARAMS_CONFLICT: "; ".join(changed), **tags} if changed else tags)

    @answered()
    def describe_experiment(self, id: str, tags: Mapping[str, str]) -> None:
        """How the page of the run's experiment looks, by the `tags` of the run; what a person has changed stays."""
        experiment = self.client.get_experiment(self.client.get_run(id).info.experiment_id)
        for key, value in page_tags(experiment.experiment_id, tags).items():
            if key not in experiment.tags:
                self.client.set_experiment_tag(experiment.experiment_id, key, value)

    @answered()
    def metrics(self, id: str, points: Sequence[MetricPoint]) -> None:
        metrics = [
            Metric(mlflow_limits.valid_key(point.key), point.value, point.time, point.step)
            for point in points
            if abs(point.step) < _LARGEST_STEP
        ]
        for batch in mlflow_limits.batches(metrics, mlflow_limits.MAX_METRICS):
            self.client.log_batch(id, metrics=batch)

    @answered()
    def tags(self, id: str, values: Mapping[str, str]) -> None:
        for batch in mlflow_limits.text_batches(values, max_value=mlflow_limits.MAX_TAG_VALUE):
            self.client.log_batch(id, tags=[RunTag(key, value) for key, value in batch.items()])

    @answered()
    def artifact(self, id: str, path: Path, folder: str) -> None:
        self.client.log_artifact(id, str(path), folder or None)

    @answered()
    def table(self, id: str, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        # The form that MLflow's page draws as a table.
        content = {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
        self.client.log_text(id, json.dumps(content), name)
        tag = "mlflow.loggedArtifacts"
        listed = json.loads(self.client.get_run(id).data.tags.get(tag, "[]"))
        if all(entry["path"] != name for entry in listed):
            self.client.set_tag(id, tag, json.dumps([*listed, {"path": name, "type": "table"}]))

    @answered()
    def dataset(self, id: str, dataset: TrackedDataset) -> None:
        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest[: mlflow_limits.MAX_DATASET_DIGEST],
            source_type="ovlab",
            source=json.dumps({"uri": dataset.source, "digest": dataset.digest}),
            profile=json.dumps({"num_samples": dataset.num_samples}),
        )
        context = InputTag("mlflow.data.context", dataset.context)
        self.client.log_inputs(id, datasets=[DatasetInput(entity, [context])])

    @answered()
    def model(self, id: str, model: TrackedModel) -> None:
        log_model_once(self.client, self.client.get_run(id), model)

    @answered()
    def running(self, id: str) -> None:
        if self.client.get_run(id).info.status != "RUNNING":
            self.client.update_run(id, status="RUNNING")

    @answered()
    def ended(self, id: str, status: Status, reason: str, time: int) -> None:
        """At `time`, in ms since 1970."""
        self.tags(id, {REASON: reason})
        self.client.set_terminated(id, status=status, end_time=time)
