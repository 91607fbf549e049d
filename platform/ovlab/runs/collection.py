"""Evaluations that are being made: counts come in, from this process or others, shards and records go into the store.

The books are kept in seconds of work on an evaluation: two workers at once make two seconds a second, and a pass that
two evaluations share costs each of them half.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.runs.passes import Pass, PassImage, plan_passes
from ovlab.runs.progress import Progress, Silent
from ovlab.runs.stored_evaluation import EvaluationJob, finish_evaluation, missing_shards, require_same_data
from ovlab.specs.errors import WorkError
from ovlab.specs.evaluation import EvaluationSpec
from ovlab.store.attempts import OpenAttempt, attempt
from ovlab.store.count_shards import commit_shard
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store


class CountRecord(NamedTuple):
    """Counts of an evaluation have come in: of so many images, the work of so many seconds, with which so many shards
    were committed."""

    evaluation: EvaluationSpec
    num_images: int
    seconds: float
    num_shards: int
    num_shards_left: int


class Collection:
    """Made by `collecting`. `passes` are what is to be counted; `add` takes the counts of some images of one."""

    def __init__(
        self,
        jobs: Sequence[EvaluationJob],
        store: Store,
        books: ExitStack,
        *,
        device: str,
        num_gpus: int,
        progress: Progress,
        provenance: Mapping[str, Any],
        mlflow_run_ids: Mapping[str, str],
        on_counts: Sequence[Callable[[CountRecord], None]],
    ) -> None:
        self.jobs = list({job.fingerprint: job for job in jobs}.values())
        self.store, self.books, self.progress = store, books, progress
        self.device, self.num_gpus = device, num_gpus
        self.provenance, self.mlflow_run_ids = provenance, mlflow_run_ids
        self.on_counts = on_counts
        self.busy = [0.0] * len(self.jobs)
        self.num_done = 0
        self.finished: dict[str, EvaluationRecord] = {}
        self.attempts: dict[int, OpenAttempt] = {}
        self.endings: dict[int, ExitStack] = {}
        missing = {}
        for number, job in enumerate(self.jobs):
            record = store.evaluation(job.fingerprint)
            if record is None:
                require_same_data(job)
                missing[number] = missing_shards(store, job)
            else:
                self.finished[job.fingerprint] = record
            self._advance(len(job.images) - sum(len(shard.ids) for shard in missing.get(number, ())))
        for number in missing:
            self._begin(number)
        self.passes: Sequence[Pass] = plan_passes(self.jobs, missing)
        # What has come in of each pass, by job and image.
        self.counted: list[dict[int, dict[str, ImageCounts]]] = [
            {number: {} for number in one.jobs} for one in self.passes
        ]
        self.num_open = {number: len(shards) for number, shards in missing.items()}
        for number in missing:
            self._finish_if_whole(number)

    def left(self, number: int) -> list[PassImage]:
        """The images of pass `number` that have not come in."""
        counts = self.counted[number].values()
        return [image for image in self.passes[number].images if not all(image.id in there for there in counts)]

    @property
    def num_left(self) -> int:
        """Photographs that are still to be shown to a network."""
        return sum(len(self.left(number)) for number in range(len(self.passes)))

    def add(self, number: int, counted: Mapping[int, Sequence[ImageCounts]], seconds: float) -> None:
        """Take the counts of some images of pass `number`, by job, that `seconds` of work made. With the last of
        them, its shards are committed; with the last shard of an evaluation, its record is written."""
        share = seconds / len(self.passes[number].jobs)
        for job, images in counted.items():
            there = self.counted[number][job]
            self._advance(len(images))
            there.update((image.id, image) for image in images)
            self.busy[job] += share
        for job in counted:
            self.attempts[job].beat()
        is_whole = not self.left(number)
        if is_whole:
            self._commit(number)
        for job, images in counted.items():
            record = CountRecord(self.jobs[job].spec, len(images), share, int(is_whole), self.num_open[job])
            for hook in self.on_counts:
                hook(record)

    def require_all(self) -> None:
        """Raise WorkError naming the images that went in and did not come out."""
        lost = [image.id for number in range(len(self.passes)) for image in self.left(number)]
        if lost:
            names = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
            raise WorkError(f"{len(lost)} images went in and did not come out: {names}; the same command counts them.")

    def records(self, jobs: Sequence[EvaluationJob]) -> list[EvaluationRecord]:
        """Those of `jobs`, in their order, all of which are finished."""
        return [self.finished[job.fingerprint] for job in jobs]

    def _begin(self, number: int) -> None:
        ending = self.books.enter_context(ExitStack())
        self.attempts[number] = ending.enter_context(
            attempt(
                self.store.folder,
                self.jobs[number].fingerprint,
                device=self.device,
                num_gpus=self.num_gpus,
                clock=lambda: self.busy[number],
            )
        )
        self.endings[number] = ending

    def _commit(self, number: int) -> None:
        one = self.passes[number]
        for job, shard in zip(one.jobs, one.shards, strict=True):
            counts = self.counted[number][job]
            commit_shard(self.store, self.jobs[job].fingerprint, shard, list(counts.values()))
            self.attempts[job].keep()
            self.num_open[job] -= 1
            self._finish_if_whole(job)

    def _finish_if_whole(self, number: int) -> None:
        if self.num_open[number]:
            return
        job = self.jobs[number]
        self.finished[job.fingerprint] = finish_evaluation(
            self.store,
            job,
            self.attempts[number],
            provenance=self.provenance,
            mlflow_run_id=self.mlflow_run_ids.get(job.spec.subject),
        )
        self.endings[number].close()

    def _advance(self, num_images: int) -> None:
        self.num_done += num_images
        self.progress.update(self.num_done)


@contextmanager
def collecting(
    jobs: Sequence[EvaluationJob],
    store: Store,
    *,
    device: str,
    num_gpus: int,
    progress: Progress | None = None,
    provenance: Mapping[str, Any],
    mlflow_run_ids: Mapping[str, str],
    on_counts: Sequence[Callable[[CountRecord], None]] = (),
) -> Iterator[Collection]:
    """Open the books of those of `jobs` that have no record; the block counts their `passes`.

    `num_gpus`: of one worker. `progress` counts images over all jobs. `mlflow_run_ids` go by subject. The hooks run
    as counts come in. Raises InputError where the data of a job are not those of its spec.
    """
    with ExitStack() as books:
        yield Collection(
            jobs,
            store,
            books,
            device=device,
            num_gpus=num_gpus,
            progress=Silent() if progress is None else progress,
            provenance=provenance,
            mlflow_run_ids=mlflow_run_ids,
            on_counts=on_counts,
        )
