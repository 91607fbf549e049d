"""Trained models as MLflow logs them: code, a signature and the address of the weights, which stay where they are."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovlab.tracking.mlflow_client import MlflowClient

# isort: split
from mlflow import pyfunc
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, ColSpec

from ovlab.tracking.provenance import installed_versions

_NAME = "model"
_REQUIRED = ("logoseg", "mlflow", "torch")
_CODE = Path(__file__).with_name("pyfunc_model.py")
_WEIGHTS = "ovlab.weights"
_SHA256 = "ovlab.weights_sha256"
_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "image"), ColSpec(Array(DataType.string), "classes")]),
    outputs=Schema([ColSpec(DataType.string, "labels_png"), ColSpec(Array(DataType.string), "classes")]),
    params=ParamSchema([ParamSpec("size", DataType.long, 0)]),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedModel:
    """Weights that a run wrote: where they lie (a path or s3://...), their sha256, the class names trained on."""

    weights: str
    sha256: str
    class_names: tuple[str, ...]


def log_model_once(client: MlflowClient, run: Run, model: TrackedModel) -> None:
    """Make `model` the model of `run`, unless the same weights are already. Of several, the first stays."""
    if not _ready_models(client, run, model):
        _log_model(client, run, model)
    first, *doubles = _ready_models(client, run, model)
    for double in doubles:
        client.delete_logged_model(double.model_id)
    linked = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
    if first.model_id not in linked:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(first.model_id, step=0)])


def _ready_models(client: MlflowClient, run: Run, model: TrackedModel) -> list[Any]:
    query = f"name = '{_NAME}' AND source_run_id = '{run.info.run_id}'"
    known = client.search_logged_models([run.info.experiment_id], filter_string=query)
    same = [one for one in known if one.tags.get(_SHA256) == model.sha256 and one.status == LoggedModelStatus.READY]
    return sorted(same, key=lambda one: (one.creation_timestamp, one.model_id))


def _log_model(client: MlflowClient, run: Run, model: TrackedModel) -> None:
    entry = client.create_logged_model(
        run.info.experiment_id,
        name=_NAME,
        source_run_id=run.info.run_id,
        tags={_SHA256: model.sha256, _WEIGHTS: model.weights},
    )
    description = Model(entry.artifact_location, run.info.run_id, model_id=entry.model_id, model_uuid=entry.model_id)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / _NAME
        _save_model(place, model, description)
        client.log_model_artifacts(entry.model_id, str(place))
    client.finalize_logged_model(entry.model_id, LoggedModelStatus.READY)


def _save_model(place: Path, model: TrackedModel, description: Model) -> None:
    """Write an MLflow model of a few small files to the folder `place`."""
    pyfunc.save_model(
        place,
        python_model=_CODE,
        mlflow_model=description,
        model_config={"weights": model.weights, "sha256": model.sha256},
        signature=_SIGNATURE,
        metadata={"class_names": list(model.class_names)},
        # On a node whose sources came with the job, logoseg is not installed.
        pip_requirements=[f"{name}=={number}" for name, number in installed_versions(_REQUIRED).items()],
    )
