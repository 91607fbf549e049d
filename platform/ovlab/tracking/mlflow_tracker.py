"""MLflow as the server that the spool is replayed to. The only file that imports mlflow.

Every call names its run: nothing here uses MLflow's notion of an active run or experiment, which are global. A run
carries its identity in the tag ovlab.run, by which any process finds it again, so that none is made twice.
"""

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

# MLflow asks its own questions again and again for up to an hour; here the spool asks again.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient, pyfunc
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature, set_model
from mlflow.pyfunc import PythonModel
from mlflow.types import DataType, ParamSchema, Schema
from mlflow.types import ParamSpec as ModelParam
from mlflow.types.schema import Array, ColSpec

from ovlab.tracking import limits
from ovlab.tracking.destination import sole_creator
from ovlab.tracking.replay import MetricPoint, Refused, Unavailable
from ovlab.tracking.tags import ATTEMPT, HEARTBEAT, PARAMS_CONFLICT, PARENT, REAPED, REASON, RUN
from ovlab.tracking.tracked_run import TrackedRun, tracked_run
from ovlab.tracking.tracker import RunHeader, Status, TrackedDataset, TrackedModel

__all__ = ["MlflowServer", "PythonModel", "prepare_schema", "save_model", "set_model"]

# Without its report of every table that a new database gets.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

MODEL_NAME = "model"
MODEL_CODE = Path(__file__).with_name("pyfunc_model.py")
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "image"), ColSpec(Array(DataType.string), "classes")]),
    outputs=Schema([ColSpec(DataType.string, "labels_png"), ColSpec(Array(DataType.string), "classes")]),
    params=ParamSchema([ModelParam("size", DataType.long, 0)]),
)
# Answers that no later attempt would change.
_FINAL = {
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "BAD_REQUEST",
    "INVALID_STATE",
}
_PAGE = 1000
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _answer(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """MLflow's errors as the two that a replay knows."""

    @wraps(call)
    def translated(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return call(*args, **kwargs)
        except MlflowException as error:
            reason = " ".join(str(error).split())[:300]
            raise (Refused if error.error_code in _FINAL else Unavailable)(reason) from error
        except OSError as error:  # the network, the disk, a database that is away
            raise Unavailable(" ".join(str(error).split())[:300]) from error

    return translated


@_answer
def prepare_schema(uri: str) -> None:
    """Make the tables of a new database, before anyone writes: two processes that do it at once break it."""
    with sole_creator(uri):
        MlflowClient(uri).search_experiments(max_results=1)


class MlflowServer:
    """The tracking server at `uri`. `artifacts` is where a database without a server keeps artifacts."""

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.artifacts = artifacts
        prepare_schema(uri)
        self.client = MlflowClient(uri)
        self._experiments: dict[str, str] = {}

    def answers(self) -> bool:
        try:
            self.client.search_experiments(max_results=1)
        except (MlflowException, OSError):
            return False
        return True

    @_answer
    def start(self, run: RunHeader, time: int) -> str:
        found = self._find(run.experiment, run.run)
        if found is None:
            found = self._create(run, time)
        id = found.info.run_id
        self._write_params(found, run.params)
        self._write_tags(id, {**run.tags, ATTEMPT: str(run.attempt), HEARTBEAT: str(time), **self._parent_tags(run)})
        if found.info.status != "RUNNING":
            self.client.update_run(id, status="RUNNING")
        return id

    @_answer
    def join(self, run: RunHeader) -> str:
        found = self._find(run.experiment, run.run)
        if found is None:
            raise Unavailable(f"{run.run}: its first process has not reached the server yet")
        return found.info.run_id

    @_answer
    def metrics(self, id: str, points: Sequence[MetricPoint]) -> None:
        metrics = [Metric(limits.valid_key(point.key), point.value, point.time, point.step) for point in points]
        for batch in limits.batches(metrics, limits.MAX_METRICS):
            self.client.log_batch(id, metrics=batch)

    @_answer
    def tags(self, id: str, values: Mapping[str, str]) -> None:
        self._write_tags(id, values)

    @_answer
    def heartbeat(self, id: str, time: int) -> None:
        run = self.client.get_run(id)
        # A machine that slept is taken for dead; when it goes on, so does its run.
        reaped = run.data.tags.get(REAPED)
        if run.info.status == "KILLED" and reaped and int(reaped) < time:
            self.client.update_run(id, status="RUNNING")
            self._write_tags(id, {REAPED: ""})
        self._write_tags(id, {HEARTBEAT: str(time)})

    @_answer
    def artifact(self, id: str, path: Path, folder: str) -> None:
        if not path.is_file():
            raise Refused(f"{path.name} is no longer in the spool")
        self.client.log_artifact(id, str(path), folder or None)

    @_answer
    def table(self, id: str, name: str, columns: Mapping[str, Sequence[object]]) -> None:
        # The form that MLflow's page draws as a table.
        content = {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
        self.client.log_text(id, json.dumps(content), name)
        tag = "mlflow.loggedArtifacts"
        listed = json.loads(self.client.get_run(id).data.tags.get(tag, "[]"))
        if all(entry["path"] != name for entry in listed):
            self.client.set_tag(id, tag, json.dumps([*listed, {"path": name, "type": "table"}]))

    @_answer
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

    @_answer
    def model(self, id: str, model: TrackedModel) -> None:
        run = self.client.get_run(id)
        known = self.client.search_logged_models(
            [run.info.experiment_id], filter_string=f"name = '{MODEL_NAME}' AND source_run_id = '{id}'"
        )
        same = [entry for entry in known if entry.tags.get("ovlab.weights_sha256") == model.sha256]
        ready = next((entry for entry in same if entry.status == LoggedModelStatus.READY), None)
        if ready is None:
            ready = self._log_model(run, model)
        linked = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
        if ready.model_id not in linked:
            self.client.log_outputs(id, [LoggedModelOutput(ready.model_id, step=0)])

    @_answer
    def end(self, id: str, status: Status, reason: str, time: int, *, reaped: bool = False) -> None:
        self._write_tags(id, {REASON: reason, REAPED: str(time) if reaped else ""})
        self.client.set_terminated(id, status=status, end_time=time)

    @_answer
    def runs(self, *, only_running: bool = False) -> list[TrackedRun]:
        """Every run that ovlab tracks, the newest first."""
        experiments = {entry.experiment_id: entry.name for entry in self._pages(self.client.search_experiments)}
        if not experiments:
            return []
        query = f"tags.`{RUN}` != ''" + (" AND attributes.status = 'RUNNING'" if only_running else "")

        def search(max_results: int, page_token: Any) -> Any:
            return self.client.search_runs(
                list(experiments), query, max_results=max_results, page_token=page_token, order_by=["start_time DESC"]
            )

        return [tracked_run(run, experiments[run.info.experiment_id]) for run in self._pages(search)]

    def _pages(self, search: Callable[..., Any]) -> Iterator[Any]:
        token = None
        while True:
            page = search(max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_experiment(name)
        return self._experiments[name]

    def _find_experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = None if self.artifacts is None else (self.artifacts / limits.valid_key(name)).as_uri()
            try:
                return self.client.create_experiment(name, artifact_location=location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                raise Unavailable(f"experiment {name}: another process is making it") from error
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _find(self, experiment: str, run: str) -> Run | None:
        """The run with this identity. Of two, which a repeated request can leave, the older stays."""
        query = f"tags.`{RUN}` = '{run}'"
        found = self.client.search_runs(
            [self._experiment(experiment)], query, run_view_type=ViewType.ALL, order_by=["start_time ASC"]
        )
        active = [entry for entry in found if entry.info.lifecycle_stage == "active"]
        if found and not active:
            raise Refused(f"{run} was deleted on the server")
        for ghost in active[1:]:
            self.client.delete_run(ghost.info.run_id)
        return active[0] if active else None

    def _create(self, run: RunHeader, time: int) -> Run:
        experiment = self._experiment(run.experiment)
        self.client.create_run(experiment, start_time=time, tags={RUN: run.run}, run_name=run.name)
        found = self._find(run.experiment, run.run)
        if found is None:
            raise Unavailable(f"{run.run}: made, but not found again")
        return found

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
        parent = self._find(run.experiment, run.parent)
        return {PARENT: run.parent} | ({"mlflow.parentRunId": parent.info.run_id} if parent else {})

    def _log_model(self, run: Run, model: TrackedModel) -> Any:
        entry = self.client.create_logged_model(
            run.info.experiment_id,
            name=MODEL_NAME,
            source_run_id=run.info.run_id,
            tags={"ovlab.weights_sha256": model.sha256, "ovlab.weights": model.weights},
        )
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / MODEL_NAME
            save_model(
                place,
                model,
                Model(entry.artifact_location, run.info.run_id, model_id=entry.model_id, model_uuid=entry.model_id),
            )
            self.client.log_model_artifacts(entry.model_id, str(place))
        return self.client.finalize_logged_model(entry.model_id, LoggedModelStatus.READY)


def save_model(place: Path, model: TrackedModel, description: Model | None = None) -> None:
    """Write an MLflow model of a few small files to the folder `place`; the weights stay where they are."""
    pyfunc.save_model(
        place,
        python_model=MODEL_CODE,
        mlflow_model=description,
        model_config={"weights": model.weights, "sha256": model.sha256},
        signature=SIGNATURE,
        metadata={"class_names": list(model.class_names)},
        pip_requirements=[f"{name}=={version(name)}" for name in ("logoseg", "mlflow", "torch")],
    )
