"""All evaluations that are asked for in one Ray Data pipeline, as its start costs seconds.

The manifest travels in, a row an image: which pass, which image, where it is in the data of each evaluation. An actor
reads and counts; what comes out are sparse counts, a few hundred bytes an image. This process commits a shard as soon
as its last image is in, so that a pipeline that was killed continues with the shards that are missing. Counts are whole
numbers, so the records are those of one process to the bit, for any number of actors.
"""

import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import ray.data
import torch
from ray.exceptions import RayError
from torch import nn

from ovlab.ray.blocks import CountingActor, manifest, take
from ovlab.ray.cluster import Cluster, connect
from ovlab.runs.collection import Collection, CountRecord, collecting
from ovlab.runs.device import device_name
from ovlab.runs.passes import Counter
from ovlab.runs.progress import Progress
from ovlab.runs.small_work import SMALL_WORK_SECONDS, done_here
from ovlab.runs.stored_evaluation import EvaluationJob
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store

# An item a block doubled the time of a pipeline; many more would leave actors idle at its end.
MAX_IMAGES_PER_BLOCK = 32
MIN_IMAGES_PER_BLOCK = 8
_BLOCKS_PER_ACTOR = 4

NOTHING: Mapping[str, Any] = MappingProxyType({})


def ensure_evaluations_on_ray(
    jobs: Sequence[EvaluationJob],
    store: Store,
    open_model: Mapping[str, Callable[[], nn.Module]],
    *,
    device: torch.device,
    num_actors: int | None = None,
    address: str | None = None,
    small_work_seconds: float = SMALL_WORK_SECONDS,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_counts: Sequence[Callable[[CountRecord], None]] = (),
    provenance: Mapping[str, Any] = NOTHING,
    mlflow_run_ids: Mapping[str, str] = NOTHING,
    say: Callable[[str], object] = lambda line: print(line, file=sys.stderr),
) -> list[EvaluationRecord]:
    """The records of evaluations of one subject or several, in the order of `jobs`, after making the missing ones.

    `open_model` has, by subject, a function that a worker on any node can call (it is pickled); the network that it
    gives has a text_encoder. `device` is that of an actor, "cuda" for one GPU each; `num_actors` is by default as many
    as there are GPUs, or CPUs but one. `address`: see `ovlab.ray.cluster.connect`. Work that would take less than
    `small_work_seconds`, by the records of the store or else by its first images, is done in this process, which needs
    such a device then; `say` is told. Raises InputError for damaged data, naming the images, WorkError naming those
    that went in and did not come out, and Stopped when `stop`, asked as counts come in, says so.
    """
    with collecting(
        jobs,
        store,
        # Where this process has no GPU, it does not know the model of theirs.
        device=device.type if not _is_here(device) else device_name(device),
        num_gpus=1 if device.type == "cuda" else 0,
        progress=progress,
        on_counts=on_counts,
        provenance=provenance,
        mlflow_run_ids=mlflow_run_ids,
    ) as collection:
        # Not kept in a name: the network that it opened leaves this process before the actors open theirs.
        if collection.num_left and not done_here(
            collection,
            Counter(collection.jobs, open_model, device),
            small_work_seconds=small_work_seconds,
            stop=stop,
            say=say,
        ):
            with connect(address) as cluster:
                _count_on_ray(collection, open_model, device, num_actors, cluster, stop)
        collection.require_all()
        return collection.records(jobs)


def _count_on_ray(
    collection: Collection,
    open_model: Mapping[str, Callable[[], nn.Module]],
    device: torch.device,
    num_actors: int | None,
    cluster: Cluster,
    stop: Callable[[], bool],
) -> None:
    num_actors = num_actors or _default_actors(device, cluster)
    size = -(-collection.num_left // (_BLOCKS_PER_ACTOR * num_actors))
    size = min(max(size, MIN_IMAGES_PER_BLOCK), MAX_IMAGES_PER_BLOCK)
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It warns that its bars are switched off.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Not from_arrow, which first asks a worker how many rows there are. An actor has no environment of its own, so that
    # it begins in a worker that Ray has ready.
    dataset = ray.data.from_blocks(list(manifest(collection, size))).map_batches(
        CountingActor,
        batch_size=None,
        batch_format="pyarrow",
        # One block at work and one behind it: more would be queued at an actor while another is idle.
        compute=ray.data.ActorPoolStrategy(size=num_actors, max_tasks_in_flight_per_actor=2),
        fn_constructor_kwargs={"jobs": collection.jobs, "open_model": dict(open_model), "device": device.type},
        num_gpus=1 if device.type == "cuda" else 0,
        num_cpus=_cpus_per_actor(num_actors, cluster),
    )
    damaged: list[str] = []
    try:
        for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            damaged += take(collection, block)
            if stop():
                raise Stopped(f"stopped with {collection.num_left} images left; the same command continues.")
    except RayError as error:
        raise WorkError(f"evaluation on Ray: {_last_line(error)}") from error
    if damaged:
        more = f" and {len(damaged) - 1} more images" if len(damaged) > 1 else ""
        raise InputError(f"{damaged[0]}{more}")


def _is_here(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.is_available()


def _default_actors(device: torch.device, cluster: Cluster) -> int:
    """One a GPU; without GPUs one a CPU, but for the one that reads and collects."""
    num_actors = int(cluster.num_gpus if device.type == "cuda" else cluster.num_cpus - 1)
    if device.type == "cuda" and num_actors < 1:
        raise InputError(f"--device cuda: the Ray at {cluster.address} has no GPU; use --device cpu.")
    return max(1, num_actors)


def _cpus_per_actor(num_actors: int, cluster: Cluster) -> float:
    """Logical CPUs: one each, less where all of them would leave none to the rest of the pipeline, which would hang."""
    share = max(cluster.num_cpus - 1, 0.5 * cluster.num_cpus) / num_actors
    return min(1.0, math.floor(100 * share) / 100)


def _last_line(error: BaseException) -> str:
    """The cause in one line; Ray's own message is a page of tracebacks that ends with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
