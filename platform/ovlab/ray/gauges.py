"""Every metric of a run at work, declared once: what emits them and what draws them read this list.

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
    labels: tuple[str, ...] = ("run",)

    @property
    def series(self) -> str:
        """Its name in Prometheus, which Ray puts its own before."""
        return f"ray_{self.name}"


TRAINING_STEPS = Metric(
    name="ovlab_training_steps_total", kind="counter", help="Updates made, those made again after a kill included."
)
TRAINING_IMAGES = Metric(
    name="ovlab_training_images_total", kind="counter", help="Images trained on, over all workers of a run."
)
TRAINING_STEP_SECONDS = Metric(
    name="ovlab_training_step_seconds_total",
    kind="counter",
    help="Time of updates, with the wait for their images.",
)
TRAINING_DATA_WAIT_SECONDS = Metric(
    name="ovlab_training_data_wait_seconds_total", kind="counter", help="Time in which updates waited for their images."
)
TRAINING_CHECKPOINTS = Metric(name="ovlab_training_checkpoints_total", kind="counter", help="Checkpoints written.")
TRAINING_CHECKPOINT_SECONDS = Metric(
    name="ovlab_training_checkpoint_seconds_total",
    kind="counter",
    help="Time in which training stood still for a checkpoint, its copy into the store included.",
)
TRAINING_LOSS = Metric(name="ovlab_training_loss", kind="gauge", help="Loss of the last update.")
TRAINING_STEPS_DONE = Metric(
    name="ovlab_training_steps_done", kind="gauge", help="Updates that the weights of the moment are the result of."
)
TRAINING_STEPS_PLANNED = Metric(
    name="ovlab_training_steps_planned", kind="gauge", help="Updates after which the training is finished."
)
EVALUATION_IMAGES = Metric(
    name="ovlab_evaluation_images_total",
    kind="counter",
    help="Images counted; one that two benchmarks share counts in both.",
    labels=("run", "benchmark"),
)
EVALUATION_SHARDS = Metric(
    name="ovlab_evaluation_shards_total",
    kind="counter",
    help="Shards of counts committed to the store.",
    labels=("run", "benchmark"),
)
EVALUATION_SHARDS_LEFT = Metric(
    name="ovlab_evaluation_shards_left",
    kind="gauge",
    help="Shards of an evaluation that are not in the store.",
    labels=("run", "benchmark"),
)
LAST_SIGN = Metric(
    name="ovlab_last_sign_timestamp_seconds", kind="gauge", help="When a run gave its last sign of life, in Unix time."
)
ENDED = Metric(
    name="ovlab_ended_timestamp_seconds",
    kind="gauge",
    help="When a training or an evaluation of a run came to an end, good or bad, in Unix time; killed ones have none.",
)

METRICS = (
    TRAINING_STEPS,
    TRAINING_IMAGES,
    TRAINING_STEP_SECONDS,
    TRAINING_DATA_WAIT_SECONDS,
    TRAINING_CHECKPOINTS,
    TRAINING_CHECKPOINT_SECONDS,
    TRAINING_LOSS,
    TRAINING_STEPS_DONE,
    TRAINING_STEPS_PLANNED,
    EVALUATION_IMAGES,
    EVALUATION_SHARDS,
    EVALUATION_SHARDS_LEFT,
    LAST_SIGN,
    ENDED,
)


def run_label(fingerprint: str) -> str:
    """The value of the label `run` for the training, or the untrained subject, with this fingerprint."""
    return fingerprint[:NUM_RUN_DIGITS]
