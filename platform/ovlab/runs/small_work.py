"""Work that a pipeline would not make faster: it is done in the calling process, which says so."""

from collections.abc import Callable
from statistics import median

import torch

from ovlab.runs.collection import Collection
from ovlab.runs.here import count_here
from ovlab.runs.passes import Counter
from ovlab.runs.stored_evaluation import EvaluationJob
from ovlab.store.store import Store

# Below this, a pipeline costs more than it saves.
SMALL_WORK_SECONDS = 20.0
# How long the first images may take here, to find out how long all would, where no record says so.
TRIAL_SECONDS = 5.0


def seconds_per_image(store: Store, job: EvaluationJob, device: str) -> float | None:
    """The median over the records of the same subject, through the same views, on such a device; None without any."""
    paces = [
        (record.cost.seconds - record.cost.lost_seconds) / num_images
        for record in store.evaluations()
        if record.evaluation.subject == job.spec.subject
        and record.evaluation.protocol.inference == job.spec.protocol.inference
        and record.cost.device == device
        and (num_images := record.figures.get("num_images"))
    ]
    return median(paces) if paces else None


def done_here(
    collection: Collection,
    counter: Counter,
    *,
    small_work_seconds: float,
    stop: Callable[[], bool],
    say: Callable[[str], object],
) -> bool:
    """Do small work here and say so; False, with perhaps some of it done, where Ray is worth its start."""
    if small_work_seconds <= 0 or (counter.device.type == "cuda" and not torch.cuda.is_available()):
        return False
    estimate = _estimate(collection)
    if estimate is None:
        pace = count_here(
            collection, counter, stop=stop, enough=lambda num, seconds: num > 1 and seconds >= TRIAL_SECONDS
        )
        estimate = collection.num_left * (pace or 0.0)
    if estimate >= small_work_seconds:
        return False
    if collection.num_left:
        say(f"about {estimate:.0f} s of work: counted in this process, without Ray.")
        count_here(collection, counter, stop=stop)
    else:
        say("counted in this process, without Ray: the first images were all.")
    return True


def _estimate(collection: Collection) -> float | None:
    """Seconds that one worker needs for what is left, from records alone; None where one subject has none."""
    total = 0.0
    paces: dict[tuple[object, ...], float | None] = {}
    for number, one in enumerate(collection.passes):
        job = collection.jobs[one.jobs[0]]
        alike = (job.spec.subject, job.spec.protocol.inference)
        if alike not in paces:
            paces[alike] = seconds_per_image(collection.store, job, collection.device)
        pace = paces[alike]
        if pace is None:
            return None
        total += pace * len(one.jobs) * len(collection.left(number))
    return total
