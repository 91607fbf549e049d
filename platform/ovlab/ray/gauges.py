"""Every metric of a run at work, declared once; a test holds the dashboards against this list.

A run is named by the first 12 digits of its training's fingerprint, for its training and its evaluations alike. No
label holds an image or a setting: each value of a label is a series of its own that Prometheus keeps for weeks. The
figures that count, in tables and bills, are those of the store; these are a view of what goes on.
"""

from dataclasses import dataclass
from typing import Literal

# Digits of a fingerprint in the label `run`.
NUM_RUN_DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A counter only grows, and its name ends in _total; a gauge is the value of the moment.

    Seconds are wall-clock seconds of one process; a time stamp is Unix time, as of Prometheus' time().
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]

    @property
    def series(self) -> str:
        """Its name in Prometheus, which Ray puts its own before."""
        return f"ray_{self.name}"


METRICS: list[Metric] = []


def _declared(kind: Literal["counter", "gauge"], name: str, help: str, *labels: str) -> Metric:
    METRICS.append(Metric(name=name, kind=kind, help=help, labels=("run", *labels)))
    return METRICS[-1]


TRAINING_STEPS = _declared(
    "counter", "ovlab_training_steps_total", "Updates made, those made again after a kill included."
)
TRAINING_IMAGES = _declared("counter", "ovlab_training_images_total", "Images trained on, over all workers of a run.")
TRAINING_STEP_SECONDS = _declared(
    "counter", "ovlab_training_step_seconds_total", "Time of updates, with the wait for their images."
)
TRAINING_DATA_WAIT_SECONDS = _declared(
    "counter", "ovlab_training_data_wait_seconds_total", "Time in which updates waited for their images."
)
TRAINING_CHECKPOINTS = _declared("counter", "ovlab_training_checkpoints_total", "Checkpoints written.")
TRAINING_CHECKPOINT_SECONDS = _declared(
    "counter",
    "ovlab_training_checkpoint_seconds_total",
    "Time in which training stood still for a checkpoint, its copy into the store included.",
)
TRAINING_LOSS = _declared("gauge", "ovlab_training_loss", "Loss of the last update.")
TRAINING_STEPS_DONE = _declared(
    "gauge", "ovlab_training_steps_done", "Updates that the weights of the moment are the result of."
)
TRAINING_STEPS_PLANNED = _declared(
    "gauge", "ovlab_training_steps_planned", "Updates after which the training is finished."
)
EVALUATION_IMAGES = _declared(
    "counter",
    "ovlab_evaluation_images_total",
    "Images counted; one that two benchmarks share counts in both.",
    "benchmark",
)
EVALUATION_SHARDS = _declared(
    "counter", "ovlab_evaluation_shards_total", "Shards of counts committed to the store.", "benchmark"
)
EVALUATION_SHARDS_LEFT = _declared(
    "gauge", "ovlab_evaluation_shards_left", "Shards of an evaluation that are not in the store.", "benchmark"
)
LAST_SIGN = _declared(
    "gauge", "ovlab_last_sign_timestamp_seconds", "When a run gave its last sign of life, in Unix time."
)
ENDED = _declared(
    "gauge",
    "ovlab_ended_timestamp_seconds",
    "When a training or an evaluation of a run came to an end, good or bad, in Unix time; killed ones have none.",
)


def run_label(fingerprint: str) -> str:
    """The value of the label `run` for the training, or the untrained subject, with this fingerprint."""
    return fingerprint[:NUM_RUN_DIGITS]
