"""What a run tells a tracker while it is made: its curve, its weights, its scores, its classes and its pictures."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ovlab.store.artifacts import weights_uri
from ovlab.store.contact_sheet import contact_sheet
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store
from ovlab.tracking.tracker import TrackedModel, Tracker
from ovlab.training.step_log import StepRecord

# Of a curve; the log of a run in the store has every step.
MAX_POINTS = 1000


def step_teller(tracker: Tracker, num_steps: int) -> Callable[[StepRecord], None]:
    every = math.ceil(num_steps / MAX_POINTS)

    def tell(record: StepRecord) -> None:
        if record.step % every == 0 or record.step in (1, num_steps):
            values = record._asdict()
            tracker.metrics(values.pop("step"), {f"train/{name}": value for name, value in values.items()})

    return tell


def record_teller(tracker: Tracker, store: Store) -> Callable[[TrainingRecord | EvaluationRecord], None]:
    """A hook of `ovlab.runs.planned_run.run_one`, whose evaluations have their pictures when it is called."""
    steps = 0

    def tell(record: TrainingRecord | EvaluationRecord) -> None:
        nonlocal steps
        if isinstance(record, TrainingRecord):
            steps = record.num_steps
            _tell_training(tracker, store, record)
        else:
            _tell_evaluation(tracker, store, record, steps)

    return tell


def _tell_training(tracker: Tracker, store: Store, record: TrainingRecord) -> None:
    weights = weights_uri(store, record)
    place = weights if "://" in weights else str(Path(weights).resolve())
    tracker.model(TrackedModel(weights=place, sha256=record.weights.sha256, class_names=record.class_names))
    tracker.metrics(
        record.num_steps, {"cost/seconds": record.cost.seconds, "cost/gpu_seconds": record.cost.gpu_seconds}
    )


def _tell_evaluation(tracker: Tracker, store: Store, record: EvaluationRecord, step: int) -> None:
    """Its scores, at the last step of the training, the table of its classes, and its pictures."""
    name = record.evaluation.benchmark
    scores = {key: value for key, value in record.figures.items() if key == "num_images" or not key.startswith("num_")}
    tracker.metrics(step, {f"{name}/{key}": value for key, value in scores.items() if value is not None})
    rows = [asdict(entry) for entry in record.classes]
    tracker.table(f"per_class/{name}.json", {key: [row[key] for row in rows] for key in rows[0]})
    sheet = contact_sheet(store, record.fingerprint)
    if sheet is not None:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place, f"{Path(name).name}.jpg")
            sheet.save(path, quality=90)
            tracker.artifact(path, "pictures")
