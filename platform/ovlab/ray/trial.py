"""One run of a sweep as a trial of Ray Tune, in a process of its own: a training and then its evaluations.

Where several processes are to make a run, the trial only leads them: it reserves nothing, and they have their place on
the cluster, first those that train, then those that evaluate. It writes the store and the journal of its run itself.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partialmethod
from typing import Any

from ray.actor import ActorHandle

from ovlab.datasets.places import VARIABLE
from ovlab.ray.mailbox import Correspondent
from ovlab.ray.on_ray import OnRay
from ovlab.ray.prometheus import Prometheus, RaySink
from ovlab.runs.context import RunContext
from ovlab.runs.failure import explained
from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedRun
from ovlab.specs.errors import Stopped


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What every trial is told. data_root is $OVLAB_DATA of the driver; observer as in a Search; num_processes as in
    OnRay: None for the trial's own."""

    runs: Sequence[PlannedRun]
    context: RunContext
    mailbox: ActorHandle
    data_root: str | None
    observer: Callable[[int, int], Observer]
    num_processes: int | tuple[int, int] | None


class Relay(Observer):
    """Tells the driver what the trial of this number hears, for its progress lines; as (number, name, event)."""

    def __init__(self, number: int, correspondent: Correspondent) -> None:
        self.number, self.correspondent = number, correspondent

    def _tell(self, name: str, *event: Any) -> None:
        self.correspondent.tell((self.number, name, event))


for _name in ("on_wait", "on_begin", "on_step", "on_counts", "on_record", "on_end"):
    setattr(Relay, _name, partialmethod(Relay._tell, _name))


def trial(config: dict[str, Any], *, order: Order) -> dict[str, Any]:
    """One run. What went wrong is returned: whatever a trial raises, Tune tries again."""
    # With them come torch and open_clip, seconds of which the process that starts the trials has no need.
    from ovlab.runs.here import Here
    from ovlab.runs.make import make_run

    if order.data_root is not None:
        os.environ.setdefault(VARIABLE, order.data_root)
    run, correspondent = order.runs[config["number"]], Correspondent(order.mailbox)
    search, relay = order.observer(config["number"], run.subject.num_steps), Relay(config["number"], correspondent)
    context = replace(order.context, stop=correspondent.asked_to_stop).heard_by(search, relay, Prometheus(RaySink()))
    try:
        if correspondent.flush():
            return {"cause": None, "stopped": True}
        make_run(run, context, Here() if order.num_processes is None else OnRay(num_processes=order.num_processes))
    except Stopped:
        # Or given up by a search, which is an end.
        return {"cause": None, "stopped": correspondent.is_to_stop}
    except Exception as error:  # whatever it is, it is the end of this run and of no other
        cause, report = explained(error)
        return {"cause": cause, "report": report}
    finally:
        correspondent.flush()
    return {"cause": None}
