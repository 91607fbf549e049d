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
from ovlab.sweeps.schedule import divided

if TYPE_CHECKING:
    from ovlab.ray.cluster import Cluster
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

    num_processes: that divide the batches of a training, and the images of an evaluation, among them; (fewest, most)
    for as many as there is room for; None for one, where it is for the cluster to say how many divide images.
    num_at_once: runs that are made at a time; None: as many as there is room for, on GPUs, or on processors where there
    are none. max_gpus: that they reserve together. search: "asha" stops early what falls behind.
    """

    num_processes: int | tuple[int, int] | None = None
    num_at_once: int | None = None
    max_gpus: int | None = None
    search: Literal["asha"] | None = None

    @property
    def _fewest(self) -> int:
        """Processes, without which no run begins."""
        return self.num_processes[0] if isinstance(self.num_processes, tuple) else self.num_processes or 1

    def _require_gpus(self, cluster: "Cluster", context: RunContext, option: str) -> None:
        if cluster.started and cluster.reserves_gpus(context.device) and cluster.num_gpus < self._fewest:
            raise InputError(
                f"{option}: {self._fewest} need a GPU each, and this machine has {cluster.num_gpus:g}; give fewer, or "
                f"--device cpu."
            )

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        from ovlab.ray.trainer import train_on_workers
        from ovlab.training.process_group import require_shards

        num_processes = self.num_processes or 1
        require_shards(training.spec.schedule.batch_size, num_processes)
        _say_what_is_assumed(training, context)
        with connect(num_cpus=max(self._fewest, os.cpu_count() or 1)) as cluster:
            self._require_gpus(cluster, context, "--workers")
            return train_on_workers(training, context, num_workers=num_processes, cluster=cluster)

    def count(self, work: "Work", context: RunContext) -> "Iterator[Counted]":
        from ovlab.ray.pipeline import count_on_ray

        return count_on_ray(work, context, self.num_processes)

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        from ovlab.ray.asha import asha, to_the_end
        from ovlab.ray.tuner import make_on_ray

        if context.device not in ("cpu", "cuda", "auto"):
            raise InputError(
                f"--device {context.device}: a trial has the GPU that Ray gives it; use cpu, cuda or auto."
            )
        division = divided(self.num_processes, self.num_at_once, self.max_gpus)
        if self.num_processes is not None:
            self._require_shards(runs)
        for run in runs:
            _say_what_is_assumed(run.subject, context)
        num_cpus = None if self.num_processes is None else max(self._fewest, os.cpu_count() or 1)
        with connect(num_cpus=num_cpus) as cluster:
            self._require_gpus(cluster, context, "--processes-per-run")
            make_on_ray(
                runs,
                context,
                on_failure,
                cluster=cluster,
                division=division,
                search=to_the_end if self.search is None else asha,
            )

    def _require_shards(self, runs: Sequence[PlannedRun]) -> None:
        """Raise InputError naming the first run whose batch the processes cannot share."""
        from ovlab.training.process_group import require_shards

        for run in runs:
            if isinstance(run.subject, PlannedTraining):
                try:
                    require_shards(run.subject.spec.schedule.batch_size, self.num_processes or 1)
                except InputError as error:
                    raise InputError(f"{run.name}: {error}") from None
