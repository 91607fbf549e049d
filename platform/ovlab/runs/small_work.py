"""Work that other processes would not make faster: how long it takes, by records or by its first images."""

from collections.abc import Generator
from contextlib import closing
from statistics import median

from ovlab.runs.context import RunContext
from ovlab.runs.device import device_name, named_device
from ovlab.runs.work import Counted, EvaluationJob, Work, count_here
from ovlab.store.store import Store

# Below this, starting other processes costs more than it saves.
SMALL_WORK_SECONDS = 20.0
# How long the first images may take here, to find out how long all would, where no record says so.
TRIAL_SECONDS = 5.0


def seconds_by_records(work: Work, context: RunContext) -> float | None:
    """Seconds that one process needs for `work`, from records alone; None where a subject has none."""
    total, device = 0.0, device_name(named_device(context.device))
    paces: dict[tuple[object, ...], float | None] = {}
    for shard in work.shards:
        job = work.jobs[shard.jobs[0]]
        alike = (job.spec.subject, job.spec.protocol.inference)
        if alike not in paces:
            paces[alike] = seconds_per_image(context.store, job, device)
        pace = paces[alike]
        if pace is None:
            return None
        total += pace * len(shard.jobs) * len(shard.ids)
    return total


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


def count_first(work: Work, context: RunContext) -> Generator[Counted, None, tuple[Work, float]]:
    """Count the first images, TRIAL_SECONDS of them and at least twice as many as go through the network together;
    returns what is left, and how many seconds that would take, by the images after the first ones, whose time is that
    of the start. The network is closed at the end."""
    ids: dict[int, set[str]] = {}
    num_images, num_first, seconds, first = 0, 0, 0.0, 0.0
    with closing(count_here(work, context)) as images:
        for counted in images:
            yield counted
            there, shard = ids.setdefault(counted.shard, set()), work.shards[counted.shard]
            there.update(image.id for image in next(iter(counted.counts.values())))
            num_images, seconds = num_images + 1, seconds + counted.seconds
            if len(there) % work.images_together(shard) and len(there) < len(shard.ids):
                continue
            if not num_first:
                num_first, first = num_images, seconds
            elif seconds >= TRIAL_SECONDS:
                break
    left = work.without({number: frozenset(names) for number, names in ids.items()})
    pace = (seconds - first) / (num_images - num_first) if num_images > num_first else 0.0
    return left, pace * left.num_images
