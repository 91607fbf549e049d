"""A run as the tracking server has it."""

from typing import Any, NamedTuple

from ovlab.tracking.tags import ATTEMPT, HEARTBEAT, PARENT, REASON, RUN


class TrackedRun(NamedTuple):
    """`id` is the server's name for it, `run` its identity. Times are in ms since 1970; `last_sign` is that of the
    last heartbeat, or of the start."""

    id: str
    run: str
    name: str
    experiment: str
    parent: str | None
    status: str
    attempt: str
    began: int
    last_sign: int
    reason: str
    metrics: dict[str, float]


def tracked_run(run: Any, experiment: str) -> TrackedRun:
    """From MLflow's entity, and the name of its experiment."""
    tags, info = run.data.tags, run.info
    return TrackedRun(
        id=info.run_id,
        run=tags[RUN],
        name=info.run_name,
        experiment=experiment,
        parent=tags.get(PARENT),
        status=info.status,
        attempt=tags.get(ATTEMPT, "1"),
        began=info.start_time,
        last_sign=int(tags.get(HEARTBEAT, info.start_time)),
        reason=tags.get(REASON, ""),
        metrics=dict(run.data.metrics),
    )
