"""The work of evaluations in passes: the images of one shard, shown to the image encoder once for all who ask.

Evaluations of one subject that name the same images (PC-59 and PC-459, PAS-20 and PAS-20b) and look at them through the
same views share their passes. Whether the photographs really are the same is seen when they are read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from ovlab.datasets.selection import Selection
from ovlab.evaluation.evaluator import Question, evaluate_together
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.runs.stored_evaluation import EvaluationJob, job_text
from ovlab.store.count_shards import CountShard


class PassImage(NamedTuple):
    """An image of a pass: its position in the data set of each job, and its size, 0 where that is not known."""

    id: str
    indices: tuple[int, ...]
    num_pixels: int


class Pass(NamedTuple):
    """`jobs`: positions in the list of jobs; `shards`: that of each of them. The largest image is first."""

    jobs: tuple[int, ...]
    shards: tuple[CountShard, ...]
    images: tuple[PassImage, ...]

    @property
    def num_pixels(self) -> int:
        return sum(image.num_pixels for image in self.images)


def plan_passes(jobs: Sequence[EvaluationJob], missing: Mapping[int, Sequence[CountShard]]) -> list[Pass]:
    """The passes for the shards that are missing of each job, by its position.

    Subject after subject, so that a worker has to change its network but rarely; of each, the pass with the most
    pixels first, so that no worker is left alone with a large one at the end.
    """
    together: dict[tuple[object, ...], list[tuple[int, CountShard]]] = {}
    for number, shards in missing.items():
        spec = jobs[number].spec
        for shard in shards:
            together.setdefault((spec.subject, spec.protocol.inference, shard.ids), []).append((number, shard))
    sizes = {number: jobs[number].dataset.sizes for number in missing}
    passes = [_make_pass(members, sizes) for members in together.values()]
    subjects = list(dict.fromkeys(jobs[number].spec.subject for number in missing))
    return sorted(passes, key=lambda one: (subjects.index(jobs[one.jobs[0]].spec.subject), -one.num_pixels))


class Counter:
    """Counts images for any of `jobs`. Keeps the network of the subject that it met last; `open_model` has one for
    each subject, with a text_encoder."""

    def __init__(
        self,
        jobs: Sequence[EvaluationJob],
        open_model: Mapping[str, Callable[[], nn.Module]],
        device: torch.device,
    ) -> None:
        self.jobs, self.open_model, self.device = jobs, open_model, device
        self.subject: str | None = None
        self.model: nn.Module = nn.Identity()
        self.questions: dict[int, Question] = {}

    def count(self, jobs: Sequence[int], images: Sequence[PassImage]) -> Iterator[tuple[ImageCounts, ...]]:
        """The counts of `images` for each of `jobs`, all of one subject, image by image in their order."""
        self._open(self.jobs[jobs[0]].spec.subject)
        return evaluate_together(
            self.model,
            [self._question(number) for number in jobs],
            [
                Selection(self.jobs[number].dataset, tuple(image.indices[place] for image in images))
                for place, number in enumerate(jobs)
            ],
            device=self.device,
        )

    def _open(self, subject: str) -> None:
        if subject != self.subject:
            self.questions.clear()
            self.subject, self.model = None, nn.Identity()  # frees the memory of the one before
            self.model = self.open_model[subject]().to(self.device)
            self.subject = subject

    def _question(self, number: int) -> Question:
        if number not in self.questions:
            job = self.jobs[number]
            self.questions[number] = Question(
                job_text(self.model, job), job.spec.protocol, num_label_classes=len(job.labels.scored)
            )
        return self.questions[number]


def _make_pass(members: Sequence[tuple[int, CountShard]], sizes: Mapping[int, Sequence[int] | None]) -> Pass:
    numbers, shards = zip(*members, strict=True)
    known = sizes[numbers[0]]
    images = [
        PassImage(name, indices, 0 if known is None else known[indices[0]])
        for name, indices in zip(shards[0].ids, zip(*(shard.indices for shard in shards), strict=True), strict=True)
    ]
    return Pass(numbers, shards, tuple(sorted(images, key=lambda image: -image.num_pixels)))
