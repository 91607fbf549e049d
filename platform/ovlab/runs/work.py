"""What evaluations have to count, shard by shard, and the counting of it in this process.

Evaluations of one subject that name the same images (PC-59 and PC-459, PAS-20 and PAS-20b) and look at them through the
same views share their shards: an image is shown to the image encoder once for all of them. Whether the photographs
really are the same is seen when they are read.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import torch
from torch import nn

from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import Selection, first_samples
from ovlab.evaluation.evaluator import Question, evaluate, images_together
from ovlab.methods.words import text_features
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.runs.context import RunContext
from ovlab.runs.device import pick_device
from ovlab.specs.errors import Stopped
from ovlab.specs.evaluation import EvaluationSpec, Untrained, evaluation_fingerprint
from ovlab.store.count_shards import CountShard, plan_shards


@dataclass(frozen=True, eq=False, slots=True)
class EvaluationJob:
    """What to evaluate, and the opened split that `spec` names, whole. `untrained`: what the subject is where it is no
    training; `clip_origin` what is then known of its CLIP weights (`provenance_of`)."""

    spec: EvaluationSpec
    dataset: SegmentationDataset
    untrained: Untrained | None = None
    clip_origin: str | None = None

    @property
    def fingerprint(self) -> str:
        return evaluation_fingerprint(self.spec)

    @property
    def images(self) -> SegmentationDataset:
        """Those of the split that are scored."""
        return self.dataset if self.spec.num_images is None else first_samples(self.dataset, self.spec.num_images)

    @property
    def labels(self) -> LabelSpace:
        return self.dataset.label_space(self.spec.protocol.synonyms)

    def shards(self) -> tuple[CountShard, ...]:
        return plan_shards(self.images.sample_ids)

    def question(self, model: nn.Module) -> Question:
        """What `model`, a Segmenter, is asked for each image."""
        protocol, labels = self.spec.protocol, self.labels
        text = text_features(model, labels.asked, protocol.prompt_templates)
        return Question(text, protocol, len(labels.scored))


class Shard(NamedTuple):
    """Images that are counted for each of `jobs`, by position, and committed together as the file `file` of each. The
    i-th image is `ids[i]`, and in the data set of the j-th of the jobs it is at `indices[i][j]`. `num_pixels` of the
    whole shard, 0 where they are not known."""

    jobs: tuple[int, ...]
    file: str
    ids: tuple[str, ...]
    indices: tuple[tuple[int, ...], ...]
    num_pixels: int

    def part(self, start: int, stop: int) -> "Shard":
        """The same with some of its images."""
        return self._replace(ids=self.ids[start:stop], indices=self.indices[start:stop])

    def without(self, ids: frozenset[str]) -> "Shard":
        """The same without some of its images."""
        left = [image for image in zip(self.ids, self.indices, strict=True) if image[0] not in ids]
        return self._replace(ids=tuple(name for name, _ in left), indices=tuple(indices for _, indices in left))


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Work:
    """All that is to be counted: `shards` of `jobs`. `open_model` has, by subject, what opens its network, a
    Segmenter; where the work goes to other processes, it is pickled and called there."""

    jobs: tuple[EvaluationJob, ...]
    open_model: Mapping[str, Callable[[], nn.Module]]
    shards: tuple[Shard, ...]

    @property
    def num_images(self) -> int:
        """Photographs to be shown to a network."""
        return sum(len(shard.ids) for shard in self.shards)

    def subject(self, shard: Shard) -> str:
        return self.jobs[shard.jobs[0]].spec.subject

    def images_together(self, shard: Shard) -> int:
        """At multiples of this the images of a shard may be divided."""
        return images_together(self.jobs[shard.jobs[0]].spec.protocol.inference)

    def without(self, counted: Mapping[int, frozenset[str]]) -> "Work":
        """What is left when the images `counted`, ids by position of the shard, are in. Shards keep their positions."""
        left = (shard.without(counted.get(number, frozenset())) for number, shard in enumerate(self.shards))
        return replace(self, shards=tuple(left))


class Counted(NamedTuple):
    """The counts of some images of a shard, for each of its jobs, and the seconds of work that made them, by the clock
    and of processors. `shard` and the keys of `counts` are positions in a Work."""

    shard: int
    counts: Mapping[int, Sequence[ImageCounts]]
    seconds: float
    process_seconds: float


class Clock:
    """What passes from one call of `lap` to the next."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def lap(self) -> tuple[float, float]:
        """Seconds by the clock, and of processors in this process, since it was made or asked last."""
        before, self.began = self.began, (time.perf_counter(), time.process_time())
        return self.began[0] - before[0], self.began[1] - before[1]


def plan_work(
    jobs: Sequence[EvaluationJob],
    missing: Sequence[Sequence[CountShard]],
    open_model: Mapping[str, Callable[[], nn.Module]],
) -> Work:
    """The shards that are missing of each job, as work.

    Subject after subject, so that a process has to change its network but rarely; of each, the shard with the most
    pixels first and its largest image first, so that no process is left alone with a large one at the end.
    """
    together: dict[tuple[object, ...], list[tuple[int, CountShard]]] = {}
    for number, (job, parts) in enumerate(zip(jobs, missing, strict=True)):
        for part in parts:
            alike = (job.spec.subject, job.spec.protocol.inference, part.file, part.ids)
            together.setdefault(alike, []).append((number, part))
    shapes = [job.dataset.shapes for job in jobs]
    subjects = list(dict.fromkeys(job.spec.subject for job in jobs))
    shards = [_shared(members, shapes) for members in together.values()]
    shards.sort(key=lambda shard: (subjects.index(jobs[shard.jobs[0]].spec.subject), -shard.num_pixels))
    return Work(jobs=tuple(jobs), open_model=open_model, shards=tuple(shards))


class ImageCounter:
    """Counts images of `work`. Keeps the network of the subject that it met last."""

    def __init__(self, work: Work, device: torch.device) -> None:
        self.work, self.device = work, device
        self.subject: str | None = None
        self.model: nn.Module = nn.Identity()
        self.questions: dict[int, Question] = {}

    def count(self, shard: Shard) -> Iterator[tuple[ImageCounts, ...]]:
        """Image by image, its counts for each job of the shard."""
        jobs = self.work.jobs
        self._open(self.work.subject(shard))
        for number in shard.jobs:
            if number not in self.questions:
                self.questions[number] = jobs[number].question(self.model)
        images = [
            Selection(jobs[number].dataset, tuple(indices[place] for indices in shard.indices))
            for place, number in enumerate(shard.jobs)
        ]
        return evaluate(self.model, [self.questions[number] for number in shard.jobs], images, device=self.device)

    def _open(self, subject: str) -> None:
        if subject != self.subject:
            self.questions.clear()
            self.subject, self.model = None, nn.Identity()  # frees the memory of the one before
            self.model = self.work.open_model[subject]().to(self.device)
            self.subject = subject


def count_here(work: Work, context: RunContext) -> Generator[Counted, None, None]:
    """One image after the other, in this process. Raises Stopped when `context.stop`, asked before each, says so."""
    counter = ImageCounter(work, pick_device(context.device))
    for number, shard in enumerate(work.shards):
        if not shard.ids:
            continue
        clock = Clock()
        images = counter.count(shard)
        for _ in shard.ids:
            if context.stop():
                benchmark = work.jobs[shard.jobs[0]].spec.benchmark
                raise Stopped(f"{benchmark}: stopped in shard {shard.file}; the same command continues.")
            counted = next(images)
            yield Counted(number, {job: [image] for job, image in zip(shard.jobs, counted, strict=True)}, *clock.lap())


def _shared(members: Sequence[tuple[int, CountShard]], shapes: Sequence[Sequence[tuple[int, int]] | None]) -> Shard:
    """The shard that these jobs share."""
    numbers, shards = zip(*members, strict=True)
    known = shapes[numbers[0]]
    images = [
        (0 if known is None else prod(known[indices[0]]), name, indices)
        for name, indices in zip(shards[0].ids, zip(*(shard.indices for shard in shards), strict=True), strict=True)
    ]
    images.sort(key=lambda image: -image[0])
    num_pixels, ids, indices = zip(*images, strict=True)
    return Shard(numbers, shards[0].file, ids, indices, sum(num_pixels))
