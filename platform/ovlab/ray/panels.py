"""What the dashboards show: panels of Prometheus expressions over the declared metrics, as data.

Ray 2.60 exports a gauge when it was set and drops it two export intervals later, so a gauge is read as the last value
in a window. Counters stay as long as their node. `$run` and `$__rate_interval` are Grafana's to fill in.
"""

from dataclasses import dataclass
from typing import Literal

from ovlab.ray.gauges import (
    ENDED,
    EVALUATION_IMAGES,
    EVALUATION_SHARDS,
    EVALUATION_SHARDS_LEFT,
    LAST_SIGN,
    TRAINING_CHECKPOINT_SECONDS,
    TRAINING_CHECKPOINTS,
    TRAINING_DATA_WAIT_SECONDS,
    TRAINING_IMAGES,
    TRAINING_LOSS,
    TRAINING_STEP_SECONDS,
    TRAINING_STEPS,
    TRAINING_STEPS_DONE,
    TRAINING_STEPS_PLANNED,
    Metric,
)
from ovlab.store.journal import STALE_SECONDS

# How long the last value of a gauge is shown; steps of a large model on a CPU take minutes.
GAUGE_WINDOW = "10m"
# How long a run that was killed is shown as silent.
SILENCE_WINDOW = "6h"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """`unit` is Grafana's name of it. `legend` names a series by its labels. A value from `alarm` on is red."""

    title: str
    description: str
    expression: str
    legend: str
    unit: str
    kind: Literal["timeseries", "bargauge"] = "timeseries"
    alarm: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """`name` is that of its file."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def _selected(metric: Metric) -> str:
    return f'{metric.series}{{run=~"$run"}}'


def _rate(counter: Metric, by: str = "run") -> str:
    return f"sum by ({by}) (rate({_selected(counter)}[$__rate_interval]))"


def _total(counter: Metric, by: str = "run") -> str:
    return f"sum by ({by}) ({_selected(counter)})"


def _last(gauge: Metric, by: str = "run", window: str = GAUGE_WINDOW) -> str:
    return f"max by ({by}) (last_over_time({_selected(gauge)}[{window}]))"


def _silence() -> str:
    """Seconds since the last sign of runs that have not ended since, on nodes that answer.

    A local Ray goes with the program that started it, too soon for Prometheus to see that its run has ended.
    """
    last_sign = f"last_over_time({_selected(LAST_SIGN)}[{SILENCE_WINDOW}])"
    signs, ends = f"max by (run) ({last_sign} and on (instance) (up == 1))", _last(ENDED, window=SILENCE_WINDOW)
    return f"time() - ({signs} unless on (run) ({ends} >= on (run) {signs}))"


TRAINING = Dashboard(
    name="training",
    title="ovlab: training",
    panels=(
        Panel(
            title="Images a second",
            description="Over all workers of a run; checkpoints slow it down.",
            expression=_rate(TRAINING_IMAGES),
            legend="{{run}}",
            unit="suffix: images/s",
        ),
        Panel(
            title="Step time",
            description="Mean time of an update, with the wait for its images.",
            expression=f"{_rate(TRAINING_STEP_SECONDS)} / {_rate(TRAINING_STEPS)}",
            legend="{{run}}",
            unit="s",
        ),
        Panel(
            title="Loss",
            description="Of the last update.",
            expression=_last(TRAINING_LOSS),
            legend="{{run}}",
            unit="short",
        ),
        Panel(
            title="Waiting for data",
            description="Share of the step time in which an update waited for its images. Much: more loader workers.",
            expression=f"{_rate(TRAINING_DATA_WAIT_SECONDS)} / {_rate(TRAINING_STEP_SECONDS)}",
            legend="{{run}}",
            unit="percentunit",
        ),
        Panel(
            title="Time a checkpoint takes",
            description="Mean over the checkpoints so far; training stands still meanwhile.",
            expression=f"{_total(TRAINING_CHECKPOINT_SECONDS)} / {_total(TRAINING_CHECKPOINTS)}",
            legend="{{run}}",
            unit="s",
        ),
        Panel(
            title="Steps done",
            description="Share of the updates of the schedule.",
            expression=f"{_last(TRAINING_STEPS_DONE)} / {_last(TRAINING_STEPS_PLANNED)}",
            legend="{{run}}",
            unit="percentunit",
            kind="bargauge",
        ),
    ),
)

EVALUATION = Dashboard(
    name="evaluation",
    title="ovlab: evaluation",
    panels=(
        Panel(
            title="Images a second",
            description="By benchmark; an image that two benchmarks share counts in both.",
            expression=_rate(EVALUATION_IMAGES, "run, benchmark"),
            legend="{{run}} {{benchmark}}",
            unit="suffix: images/s",
        ),
        Panel(
            title="Images done",
            description="Since the cluster came up.",
            expression=_total(EVALUATION_IMAGES, "run, benchmark"),
            legend="{{run}} {{benchmark}}",
            unit="short",
        ),
        Panel(
            title="Shards done",
            description="Shards of counts committed to the store; what is committed is never counted again.",
            expression=_total(EVALUATION_SHARDS, "run, benchmark"),
            legend="{{run}} {{benchmark}}",
            unit="short",
        ),
        Panel(
            title="Shards left",
            description="Zero: the record of the evaluation is written.",
            expression=_last(EVALUATION_SHARDS_LEFT, "run, benchmark"),
            legend="{{run}} {{benchmark}}",
            unit="short",
            kind="bargauge",
        ),
    ),
)

HEALTH = Dashboard(
    name="health",
    title="ovlab: health",
    panels=(
        Panel(
            title="Heartbeat age",
            description="Time since the last update, checkpoint or counted image of a run that has not ended. It grows "
            "when the run hangs or was killed, while its node answers.",
            expression=_silence(),
            legend="{{run}}",
            unit="s",
            alarm=STALE_SECONDS,
        ),
        Panel(
            title="Processes of Ray reached",
            description="Nodes, dashboard and autoscaler that answer Prometheus, among those it knows.",
            expression='sum(up{job="ray"}) / count(up{job="ray"})',
            legend="reached",
            unit="percentunit",
        ),
        Panel(
            title="CPU",
            description="Of each node.",
            expression="max by (ip) (ray_node_cpu_utilization)",
            legend="{{ip}}",
            unit="percent",
        ),
        Panel(
            title="Memory",
            description="Share in use of each node; from 95 % on Ray kills workers.",
            expression="max by (ip) (ray_node_mem_used) / max by (ip) (ray_node_mem_total)",
            legend="{{ip}}",
            unit="percentunit",
            alarm=0.95,
        ),
        Panel(
            title="Objects spilled to disk",
            description="Of each node. Counts are small: anything above zero is worth a look.",
            expression='max by (NodeAddress) (ray_spill_manager_objects_bytes{State="Spilled"})',
            legend="{{NodeAddress}}",
            unit="bytes",
            alarm=1.0,
        ),
        Panel(
            title="Disk",
            description="Share in use of each node's disk.",
            expression="max by (ip) (ray_node_disk_utilization_percentage)",
            legend="{{ip}}",
            unit="percent",
            alarm=90.0,
        ),
    ),
)

DASHBOARDS = (TRAINING, EVALUATION, HEALTH)
