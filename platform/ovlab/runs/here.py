"""The passes of evaluations in this process, one image after the other."""

import time
from collections.abc import Callable

from ovlab.runs.collection import Collection
from ovlab.runs.passes import Counter
from ovlab.specs.errors import Stopped


def count_here(
    collection: Collection,
    counter: Counter,
    *,
    stop: Callable[[], bool] = lambda: False,
    enough: Callable[[int, float], bool] = lambda num_images, seconds: False,
) -> float | None:
    """Count what is left, or until `enough(num_images, seconds)`, asked after each image, says so.

    Returns the seconds an image of those after the first, whose time is that of the start; None when there were none.
    Raises Stopped when `stop`, asked before each image, says so.
    """
    num_images, seconds, first = 0, 0.0, 0.0
    for number, one in enumerate(collection.passes):
        began = time.perf_counter()
        left = collection.left(number)
        if not left:
            continue
        images = counter.count(one.jobs, left)
        for _ in left:
            if stop():
                benchmark = collection.jobs[one.jobs[0]].spec.benchmark
                raise Stopped(f"{benchmark}: stopped in shard {one.shards[0].file}; the same command continues.")
            counted = next(images)
            now = time.perf_counter()
            taken, began = now - began, now
            collection.add(number, {job: [image] for job, image in zip(one.jobs, counted, strict=True)}, taken)
            num_images, seconds = num_images + 1, seconds + taken
            first = first or seconds
            if enough(num_images, seconds):
                return _pace(num_images, seconds, first)
    return _pace(num_images, seconds, first)


def _pace(num_images: int, seconds: float, first: float) -> float | None:
    return (seconds - first) / (num_images - 1) if num_images > 1 else None
