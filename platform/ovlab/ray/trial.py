"""One run of a sweep as a trial of Ray Tune, in a process of its own: a training and then its evaluations."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray.actor import ActorHandle

from ovlab.datasets.places import VARIABLE
from ovlab.ray.mailbox import Correspondent
from ovlab.ray.ray_sink import RaySink
from ovlab.runs.failure import explained
from ovlab.runs.planned import PlannedRun
from ovlab.runs.workplace import Workplace
from ovlab.specs.errors import Stopped
from ovlab.sweeps.relay import RelayTracker
from ovlab.sweeps.tracked_sweep import Sweep
from ovlab.training.step_log import StepRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What every trial is told. data_root is $OVLAB_DATA of the driver; hooks as in a Search."""

    runs: Sequence[PlannedRun]
    sweep: Sweep
    at: Workplace
    mailbox: ActorHandle
    data_root: str | None
    hooks: Callable[[int, int], list[Callable[[StepRecord], None]]]


def trial(config: dict[str, Any], *, order: Order) -> dict[str, Any]:
    """One run. What went wrong is returned: whatever a trial raises, Tune tries again."""
    # With it come torch and open_clip, seconds of which the process that starts the trials has no need.
    from ovlab.sweeps.tracked_run import make_tracked

    if order.data_root is not None:
        os.environ.setdefault(VARIABLE, order.data_root)
    run, correspondent = order.runs[config["number"]], Correspondent(order.mailbox)
    try:
        if correspondent.flush():
            return {"cause": None, "stopped": True}
        make_tracked(
            run,
            order.sweep,
            order.at,
            RelayTracker(correspondent.tell),
            stop=correspondent.asked_to_stop,
            on_step=order.hooks(config["number"], run.training.spec.schedule.steps),
            sink=RaySink(),
        )
    except Stopped:
        # Or given up by a search, which is an end.
        return {"cause": None, "stopped": correspondent.is_to_stop}
    except Exception as error:  # whatever it is, it is the end of this run and of no other
        cause, report = explained(error)
        return {"cause": cause, "report": report}
    finally:
        correspondent.flush()
    return {"cause": None}
