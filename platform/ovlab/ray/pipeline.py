"""All that is to be counted in one Ray Data pipeline, as its start costs seconds.

The work is known to every actor; what travels in is which images of which shard, what comes out are sparse counts, a
few hundred bytes an image, never an image. Counts are whole numbers, so they are those of one process to the bit, for
any number of actors.
"""

import logging
import math
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import ray.data
import torch
from ray.exceptions import RayError

from ovlab.files.columns import binary_column, int32_column, number_column, string_column
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.ray.cluster import Cluster, connect
from ovlab.runs.context import RunContext
from ovlab.runs.device import is_here, named_device
from ovlab.runs.failure import explained
from ovlab.runs.small_work import SMALL_WORK_SECONDS, count_first, seconds_by_records
from ovlab.runs.work import Clock, Counted, ImageCounter, Shard, Work, count_here
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.wording import one_line
from ovlab.store.counts import pack_counts, unpack_counts

# An item a block doubled the time of a pipeline; many more would leave actors idle at its end.
MAX_IMAGES_PER_BLOCK = 32
MIN_IMAGES_PER_BLOCK = 8
_BLOCKS_PER_ACTOR = 4


# A number, or (fewest, most) for as many as there is room for.
NumActors = int | tuple[int, int] | None


def count_on_ray(work: Work, context: RunContext, num_actors: NumActors = None) -> Iterator[Counted]:
    """`count_by_actors`; but small work is done in this process, where it has such a device, and said.

    Small is what takes less than SMALL_WORK_SECONDS, by the records of the store or else by its first images.
    """
    if is_here(named_device(context.device)):
        seconds = seconds_by_records(work, context)
        if seconds is None:
            work, seconds = yield from count_first(work, context)
        if seconds < SMALL_WORK_SECONDS:
            said = "the first images were all" if not work.num_images else f"about {seconds:.0f} s of work"
            print(f"{said}: counted in this process, without Ray.", file=sys.stderr)
            yield from count_here(work, context)
            return
    yield from count_by_actors(work, context, num_actors)


def count_by_actors(work: Work, context: RunContext, num_actors: NumActors = None) -> Iterator[Counted]:
    """The counts of `work` from the actors of the connected Ray, of that of RAY_ADDRESS or of one that is started.

    `context.device` is that of an actor, each of which has a GPU, if it is one; `num_actors` is by default as many as
    there are GPUs, or CPUs but one. Raises InputError for damaged images, naming them, when all others are counted, and
    Stopped when `context.stop`, asked as counts come in, says so.
    """
    with connect() as cluster:
        pool = _pool(num_actors, context.device, cluster)
        size = -(-work.num_images // (_BLOCKS_PER_ACTOR * pool.most))
        blocks = list(manifest(work, min(max(size, MIN_IMAGES_PER_BLOCK), MAX_IMAGES_PER_BLOCK)))
        problems: list[str] = []
        num_left = work.num_images
        try:
            for table in _pipeline(work, blocks, context.device, pool):
                for counted in read_counts(table, problems):
                    num_left -= len(next(iter(counted.counts.values())))
                    yield counted
                if context.stop():
                    raise Stopped(f"stopped with {num_left} images left; the same command continues.")
        except RayError as error:
            raise WorkError(f"evaluation on Ray: {_last_line(error)}") from error
    if problems:
        more = f" and {len(problems) - 1} more images" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more}")


def manifest(work: Work, images_per_block: int) -> Iterator[pa.Table]:
    """A table a block, of one row: which images of which shard. Images that go together are in one block."""
    for number, shard in enumerate(work.shards):
        together = work.images_together(shard)
        size = -(-images_per_block // together) * together
        for start in range(0, len(shard.ids), size):
            place = {"shard": number, "start": start, "stop": min(start + size, len(shard.ids))}
            yield pa.table({name: int32_column([value]) for name, value in place.items()})


def read_counts(table: pa.Table, problems: list[str]) -> Iterator[Counted]:
    """What actors gave out; a line for each image that they could not count is added to `problems`.

    Raises InputError, or WorkError, with the reason of an actor that could not work at all.
    """
    for (number, _), rows in groupby(table.to_pylist(), key=lambda row: (row["shard"], row["start"])):
        counts, seconds, process_seconds = {}, 0.0, 0.0
        for row in rows:
            if row["cause"]:
                if row["report"]:
                    print(row["report"], file=sys.stderr)
                    raise WorkError(f"evaluation on Ray: {row['cause']}")
                raise InputError(row["cause"])
            counts[row["job"]] = unpack_counts(row["counts"], place=f"shard {number}")
            seconds += row["seconds"]
            process_seconds += row["process_seconds"]
            problems += row["problems"].splitlines()
        yield Counted(number, counts, seconds, process_seconds)


class CountingActor:
    """A network in a process of its own. Blocks of the manifest go in, the counts of their images come out."""

    def __init__(self, work: Work, device: str) -> None:
        torch.set_num_threads(1)
        # Ray shows it none but its own GPU.
        self.work, self.counter = work, ImageCounter(work, named_device(device.partition(":")[0]))

    def __call__(self, block: pa.Table) -> pa.Table:
        """A row a job, with the counts as one small file, whose checksum is read on arrival; an image that cannot be
        read leaves its reason and no counts, and whatever else goes wrong goes home as its cause: what a function of
        ours raises, Ray Data hides behind advice about retries."""
        return pa.concat_tables([self._count(**row) for row in block.to_pylist()])

    def _count(self, shard: int, start: int, stop: int) -> pa.Table:
        clock = Clock()
        part = self.work.shards[shard].part(start, stop)
        problems: list[str] = []
        counted: list[tuple[ImageCounts, ...]] = []
        cause, report = "", None
        try:
            images = self.counter.count(part)  # opens the network
            try:
                counted = list(images)
            except (InputError, OSError):
                counted = list(self._one_by_one(part, problems))
        except Exception as error:
            cause, report = explained(error)
        (seconds, process_seconds), num_jobs = clock.lap(), len(part.jobs)
        per_job = [[image[place] for image in counted] for place in range(num_jobs)]
        return pa.table(
            {
                "shard": int32_column([shard] * num_jobs),
                "start": int32_column([start] * num_jobs),
                "job": int32_column(part.jobs),
                "counts": binary_column([pack_counts(images) for images in per_job]),
                "seconds": number_column(np.full(num_jobs, seconds / num_jobs)),
                "process_seconds": number_column(np.full(num_jobs, process_seconds / num_jobs)),
                # Once for all jobs.
                "problems": string_column(["\n".join(problems)] + [""] * (num_jobs - 1)),
                "cause": string_column([cause] * num_jobs),
                "report": string_column([report or ""] * num_jobs),
            }
        )

    def _one_by_one(self, shard: Shard, problems: list[str]) -> Iterator[tuple[ImageCounts, ...]]:
        for place, name in enumerate(shard.ids):
            try:
                yield from self.counter.count(shard.part(place, place + 1))
            except (InputError, OSError) as error:
                benchmark = self.work.jobs[shard.jobs[0]].spec.benchmark
                problems.append(f"{benchmark}: image {name!r} cannot be counted: {one_line(error)}")


class _Pool(NamedTuple):
    """Of actors; each reserves `num_gpus` and `num_cpus`."""

    fewest: int
    most: int
    num_gpus: int
    num_cpus: float


def _pool(num_actors: NumActors, device: str, cluster: Cluster) -> _Pool:
    cluster.require_gpus(device)
    on_gpus = cluster.reserves_gpus(device)
    # By default one a GPU; without GPUs one a CPU, but for the one that reads and collects.
    num_actors = num_actors or max(1, int(cluster.num_gpus if on_gpus else cluster.num_cpus - 1))
    fewest, most = (num_actors, num_actors) if isinstance(num_actors, int) else num_actors
    # Logical CPUs: of as many as there are actors, less than all, since beside others who do the same the rest of the
    # pipeline would find none, and hang.
    num_cpus = min(cluster.num_cpus, most)
    share = max(num_cpus - 1, 0.5 * num_cpus) / most
    return _Pool(fewest, most, int(on_gpus), math.floor(100 * share) / 100)


def _pipeline(work: Work, blocks: list[pa.Table], device: str, pool: _Pool) -> Iterator[pa.Table]:
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It warns that its bars are switched off.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    # Not from_arrow, which first asks a worker how many rows there are. An actor has no environment of its own, so that
    # it begins in a worker that Ray has ready.
    dataset = ray.data.from_blocks(blocks).map_batches(
        CountingActor,
        batch_size=None,
        batch_format="pyarrow",
        # One block at work and one behind it: more would be queued at an actor while another is idle.
        compute=ray.data.ActorPoolStrategy(min_size=pool.fewest, max_size=pool.most, max_tasks_in_flight_per_actor=2),
        fn_constructor_kwargs={"work": work, "device": device},
        num_gpus=pool.num_gpus,
        num_cpus=pool.num_cpus,
    )
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _last_line(error: BaseException) -> str:
    """The cause in one line; Ray's own message is a page of tracebacks that ends with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
