"""The executor that is a Ray: the one of RAY_ADDRESS, or one that is started for as long as the work lasts."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from logoseg.clip.known_files import require_origin
from ovlab.ray.cluster import connect
from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun, PlannedTraining, PlannedUntrained
from ovlab.specs.errors import InputError
from ovlab.store.record import TrainingRecord

if TYPE_CHECKING:
    from ovlab.runs.work import Counted, Work


def _say_what_is_assumed(training: PlannedTraining | PlannedUntrained, context: RunContext) -> None:
    """Of a CLIP file that is not known: what its reader warns of is heard by nobody, on a worker. Raises ModelError for
    one of another activation."""
    file = context.sources.clip_file(training.preset)
    if file is not None:
        require_origin(training.model.clip, file)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnRay:
    """See `ovlab.runs.executor.Executor`.

    num_processes: that divide the batches of a training, or the images of an evaluation, among them; (fewest, most) for
    as many as there is room for. num_at_once: runs that are made at a time, each in a process of its own. None: as many
    as there are GPUs, or processors where there are none. search: "asha" stops early what falls behind.
    """

    num_processes: int | tuple[int, int] | None = None
    num_at_once: int | None = None
    search: Literal["asha"] | None = None

    @property
    def num_actors(self) -> int | None:
        """The processes among which images are divided; None where that is for the cluster to say."""
        return self.num_processes if isinstance(self.num_processes, int) else None

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        from ovlab.ray.trainer import train_on_workers
        from ovlab.training.process_group import require_shards

        num_processes = self.num_processes or 1
        require_shards(training.spec.schedule.batch_size, num_processes)
        fewest = num_processes if isinstance(num_processes, int) else num_processes[0]
        _say_what_is_assumed(training, context)
        with connect(num_cpus=max(fewest, os.cpu_count() or 1)) as cluster:
            use_gpu = context.device.startswith("cuda") or (context.device == "auto" and cluster.num_gpus > 0)
            if use_gpu and cluster.started and cluster.num_gpus < fewest:
                raise InputError(
                    f"--workers: {fewest} need a GPU each, and this machine has {cluster.num_gpus:g}; give fewer, or "
                    f"--device cpu."
                )
            return train_on_workers(training, context, num_workers=num_processes, use_gpu=use_gpu)

    def count(self, work: "Work", context: RunContext) -> "Iterator[Counted]":
        from ovlab.ray.pipeline import count_on_ray

        return count_on_ray(work, context, self.num_actors)

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        from ovlab.ray.asha import asha, to_the_end
        from ovlab.ray.tuner import make_on_ray

        if context.device not in ("cpu", "cuda", "auto"):
            raise InputError(
                f"--device {context.device}: a trial has the GPU that Ray gives it; use cpu, cuda or auto."
            )
        for run in runs:
            _say_what_is_assumed(run.subject, context)
        with connect() as cluster:
            make_on_ray(
                runs,
                context,
                on_failure,
                cluster=cluster,
                num_at_once=self.num_at_once,
                search=to_the_end if self.search is None else asha,
            )
