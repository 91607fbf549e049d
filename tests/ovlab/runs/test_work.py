"""ovlab.runs.work: how evaluations become work, and that sharing it changes no count."""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
import torch
from torch import nn

from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.evaluation.evaluator import Question, evaluate
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.work import Clock, EvaluationJob, Shard, Work, plan_work
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.evaluation import whole

CPU = torch.device("cpu")
SUBJECT = "a" * 64
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b", "shapes-pc-59")


def network() -> LoGoSeg:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    torch.manual_seed(0)
    return LoGoSeg(replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)).eval()


def jobs(num_images: int = 5, subject: str = SUBJECT) -> list[EvaluationJob]:
    datasets = [open_shapes(name, "val", num_samples=num_images) for name in BENCHMARKS]
    return [EvaluationJob(resolve_evaluation(subject, data, "val", whole(64)), data) for data in datasets]


def work_of(given: Sequence[EvaluationJob]) -> Work:
    return plan_work(given, [job.shards() for job in given], {})


def as_lists(image: ImageCounts) -> tuple[object, ...]:
    return image.id, *(part.tolist() for part in image.counts[:3])


def test_evaluate_encodes_equal_photographs_once_and_counts_as_if_alone() -> None:
    model = network()
    given = jobs()
    questions = [job.question(model) for job in given]
    num_encoded: list[int] = []
    model.image_encoder.register_forward_hook(lambda *_: num_encoded.append(1))

    together = list(evaluate(model, questions, [job.dataset for job in given], device=CPU))

    assert len(num_encoded) == 2  # PAS-20 and PAS-20b share theirs, PC-59 has other photographs
    for place, (job, question) in enumerate(zip(given, questions, strict=True)):
        alone = evaluate(model, [question], [job.dataset], device=CPU)
        assert [as_lists(images[place]) for images in together] == [as_lists(image) for (image,) in alone]


def test_plan_work_shares_images_of_one_id_and_goes_subject_after_subject() -> None:
    first, second = jobs(4), jobs(4, "b" * 64)
    work = work_of([*first, *second])

    # The ids are the same in all sets of the suite, so all three share; whether the pixels do is seen later.
    assert [shard.jobs for shard in work.shards] == [(0, 1, 2)] * 2 + [(3, 4, 5)] * 2
    assert [name for shard in work.shards[:2] for name in shard.ids] == list(first[0].dataset.sample_ids)
    assert [work.subject(shard) for shard in work.shards] == [SUBJECT] * 2 + ["b" * 64] * 2


def test_plan_work_shares_nothing_between_views() -> None:
    plain = jobs(4)[0]
    larger = EvaluationJob(replace(plain.spec, protocol=whole(96)), plain.dataset)

    assert [shard.jobs for shard in work_of([plain, larger]).shards] == [(0,), (0,), (1,), (1,)]


def test_work_without_images_that_are_in_keeps_the_positions_of_its_shards() -> None:
    work = work_of(jobs())

    left = work.without({0: frozenset(work.shards[0].ids), 2: frozenset()})

    assert (work.num_images, left.num_images) == (5, 3)
    assert [len(shard.ids) for shard in left.shards] == [0, 2, 1]
    assert left.shards[1:] == work.shards[1:]


def test_part_of_a_shard_names_each_image_with_its_own_places() -> None:
    shard = Shard((0, 1), "00000.parquet", ("a", "b", "c"), ((7, 4), (8, 5), (9, 6)), 0)

    assert (shard.part(1, 3).ids, shard.part(1, 3).indices) == (("b", "c"), ((8, 5), (9, 6)))
    assert (shard.without(frozenset("b")).ids, shard.without(frozenset("b")).indices) == (("a", "c"), ((7, 4), (9, 6)))


def test_model_without_parts_is_asked_whole() -> None:
    class Whole(nn.Module):
        def forward(self, images: torch.Tensor, text: torch.Tensor, *, class_cap: int | None = None) -> torch.Tensor:
            return images[:, : len(text)]

    data = open_shapes("shapes-pas-20", "val", num_samples=1)

    (images,) = evaluate(Whole(), [Question(torch.zeros(3, 1, 4), whole(32), 20)], [data], device=CPU)

    assert [image.id for image in images] == ["000000"]


def test_lap_of_a_clock_is_the_time_by_the_clock_and_that_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", count(step=3.0).__next__)
    monkeypatch.setattr(time, "process_time", count(step=10.0).__next__)
    clock = Clock()

    assert [clock.lap(), clock.lap()] == [(3.0, 10.0), (3.0, 10.0)]
