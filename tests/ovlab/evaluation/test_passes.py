"""Several vocabularies in one pass, and what travels to actors and back, without Ray."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.datasets.sample import Sample
from ovlab.datasets.shapes import open_shapes
from ovlab.evaluation.blocks import CountingActor, manifest, take
from ovlab.evaluation.collection import Collection, collecting
from ovlab.evaluation.evaluator import Question, evaluate, evaluate_together
from ovlab.evaluation.passes import plan_passes
from ovlab.evaluation.stored_evaluation import EvaluationJob
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.results import shards
from ovlab.results.store import Store, open_store
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.evaluation import whole
from ovlab.sweeps.resolve import resolve_evaluation
from ovlab.sweeps.run import ensure_evaluations

CPU = torch.device("cpu")
SUBJECT = "a" * 64
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b", "shapes-pc-59")


def network() -> LoGoSeg:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    config = replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)
    torch.manual_seed(0)
    return LoGoSeg(config).eval()


def jobs(num_images: int = 5, subject: str = SUBJECT) -> list[EvaluationJob]:
    datasets = [open_shapes(name, "val", num_samples=num_images) for name in BENCHMARKS]
    return [EvaluationJob(resolve_evaluation(subject, data, "val", whole(64)), data) for data in datasets]


@pytest.fixture(autouse=True)
def small_shards_and_own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(shards, "IMAGES_PER_SHARD", 2)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def open_collection(store: Store, given: list[EvaluationJob]) -> object:
    return collecting(given, store, device="cpu", num_gpus=0, provenance={}, mlflow_run_ids={})


def as_lists(image: ImageCounts) -> tuple[object, ...]:
    return image.id, *(part.tolist() for part in image.counts[:3])


def test_evaluate_together_encodes_equal_photographs_once_and_counts_as_if_alone() -> None:
    model = network()
    given = jobs()
    text = [model.encode_text([names[0] for names in job.labels.asked]) for job in given]
    questions = [
        Question(features, job.spec.protocol, len(job.labels.scored)) for features, job in zip(text, given, strict=True)
    ]
    num_encoded: list[int] = []
    model.image_encoder.register_forward_hook(lambda *_: num_encoded.append(1))

    together = list(evaluate_together(model, questions, [job.dataset for job in given], device=CPU))

    assert len(num_encoded) == 2 * 5  # PAS-20 and PAS-20b share theirs, PC-59 has other photographs
    for place, (job, question) in enumerate(zip(given, questions, strict=True)):
        alone = evaluate(
            model,
            question.text,
            job.dataset,
            question.protocol,
            num_label_classes=question.num_label_classes,
            device=CPU,
        )
        assert [as_lists(images[place]) for images in together] == [as_lists(image) for image in alone]


def test_plan_passes_shares_images_of_one_id_and_goes_subject_after_subject() -> None:
    first, second = jobs(4), jobs(4, "b" * 64)
    given = [*first, *second]
    passes = plan_passes(given, {number: job.shards() for number, job in enumerate(given)})

    # The ids are the same in all sets of the suite, so all three share; whether the pixels do is seen later.
    assert [one.jobs for one in passes] == [(0, 1, 2)] * 2 + [(3, 4, 5)] * 2
    assert [image.id for one in passes[:2] for image in one.images] == list(given[0].dataset.sample_ids)


def test_blocks_that_travel_make_the_records_of_one_process(tmp_path: Path) -> None:
    plain, store = open_store(str(tmp_path / "plain")), open_store(str(tmp_path / "blocks"))
    given = jobs()
    expected = ensure_evaluations(given, plain, network, device=CPU)

    with open_collection(store, given) as collection:
        actor = CountingActor(collection.jobs, {SUBJECT: network}, "cpu")
        for block in reversed([actor(block) for block in manifest(collection, 1)]):
            assert take(collection, block) == []
        collection.require_all()
        found = collection.records(given)

    for record, other in zip(found, expected, strict=True):
        assert replace(record, cost=other.cost, finished=other.finished) == other
        folder = f"evaluations/{record.fingerprint}/counts"
        names = store.folder.sizes(folder)
        assert [store.folder.read(f"{folder}/{name}") for name in names] == [
            plain.folder.read(f"{folder}/{name}") for name in names
        ]


def test_images_that_do_not_come_back_are_named(tmp_path: Path) -> None:
    given = jobs()

    with open_collection(open_store(str(tmp_path)), given) as collection:
        actor = CountingActor(collection.jobs, {SUBJECT: network}, "cpu")
        blocks = list(manifest(collection, 1))
        for block in blocks[:3]:
            take(collection, actor(block))
        with pytest.raises(WorkError, match="2 images went in and did not come out: 000003, 000004"):
            collection.require_all()


def test_one_broken_image_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = jobs(2)[:1]
    kind = type(given[0].dataset)
    read = kind.__getitem__

    def broken(dataset: object, index: int) -> Sample:
        if index == 0:
            raise InputError("0.png: not an image.")
        return read(dataset, index)

    with open_collection(open_store(str(tmp_path)), given) as collection:
        actor = CountingActor(collection.jobs, {SUBJECT: network}, "cpu")
        monkeypatch.setattr(kind, "__getitem__", broken)
        (block,) = manifest(collection, 32)
        problems = take(collection, actor(block))

        assert problems == ["shapes-pas-20: image '000000' cannot be counted: 0.png: not an image."]
        assert [image.id for image in collection.left(0)] == ["000000"]


def test_counts_of_a_pass_are_paid_for_half_by_each_of_two(tmp_path: Path) -> None:
    given = jobs(2)[:2]

    with open_collection(open_store(str(tmp_path)), given) as collection:
        assert isinstance(collection, Collection)
        nothing = [np.zeros(0, np.uint16), np.zeros(0, np.uint16), np.zeros(0, np.int64)]
        counted = [ImageCounts(name, SparseCounts(*nothing)) for name in given[0].dataset.sample_ids]
        collection.add(0, {0: counted, 1: counted}, 8.0)

    assert [record.cost.seconds for record in collection.records(given)] == [4.0, 4.0]


def test_model_without_parts_is_asked_whole() -> None:
    class Whole(nn.Module):
        def forward(self, images: torch.Tensor, text: torch.Tensor, *, class_cap: int | None = None) -> torch.Tensor:
            return images[:, : len(text)]

    data = open_shapes("shapes-pas-20", "val", num_samples=1)

    (images,) = evaluate_together(Whole(), [Question(torch.zeros(3, 1, 4), whole(32), 20)], [data], device=CPU)

    assert [image.id for image in images] == ["000000"]
