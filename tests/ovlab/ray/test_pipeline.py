"""ovlab.ray.pipeline without Ray: what travels to actors and back, and what is too small to travel."""

import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from logoseg.model_error import ModelError
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.datasets.sample import Sample
from ovlab.ray import pipeline
from ovlab.ray.on_ray import OnRay
from ovlab.ray.pipeline import CountingActor, count_on_ray, manifest, read_counts
from ovlab.runs import small_work
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.journaling import journaled
from ovlab.runs.work import Counted, EvaluationJob, Work, plan_work
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.evaluation import whole
from ovlab.specs.events import RunHeader
from ovlab.store import count_shards as shards
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store, open_store

SUBJECT = "a" * 64
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b", "shapes-pc-59")


def network() -> LoGoSeg:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    torch.manual_seed(0)
    return LoGoSeg(replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)).eval()


def jobs(num_images: int = 5) -> list[EvaluationJob]:
    datasets = [open_shapes(name, "val", num_samples=num_images) for name in BENCHMARKS]
    return [EvaluationJob(resolve_evaluation(SUBJECT, data, "val", whole(64)), data) for data in datasets]


def work_of(given: Sequence[EvaluationJob]) -> Work:
    return plan_work(given, [job.shards() for job in given], {SUBJECT: network})


def context_of(store: Store, **others: object) -> RunContext:
    return RunContext(store=store, workdir=Path("unused"), device="cpu", **others)


def evaluated(store: Store, executor: Executor) -> list[EvaluationRecord]:
    with journaled(RunHeader(run=SUBJECT, name="made"), context_of(store)) as inner:
        return ensure_evaluations(jobs(), {SUBJECT: network}, inner, executor)


@pytest.fixture(autouse=True)
def small_shards_and_own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(shards, "IMAGES_PER_SHARD", 2)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[EvaluationRecord]]:
    """What one process makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "IMAGES_PER_SHARD", 2)
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        store = open_store(str(tmp_path_factory.mktemp("plain")))
        return store, evaluated(store, Here())


class Backwards(OnRay):
    """Each block through one actor, in the reverse order."""

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        actor, problems = CountingActor(work, "cpu"), []
        yield from read_counts(pa.concat_tables(reversed([actor(block) for block in manifest(work, 1)])), problems)
        assert problems == []


def test_blocks_that_travel_make_the_records_and_files_of_one_process(
    plain: tuple[Store, list[EvaluationRecord]], tmp_path: Path
) -> None:
    store = open_store(str(tmp_path))

    found = evaluated(store, Backwards())

    for record, other in zip(found, plain[1], strict=True):
        assert replace(record, cost=other.cost, finished=other.finished) == other
        assert record.cost.process_seconds is not None
        folder = f"evaluations/{record.fingerprint}/counts"
        names = store.folder.sizes(folder)
        assert len(names) == 3
        assert [store.folder.read(f"{folder}/{name}") for name in names] == [
            plain[0].folder.read(f"{folder}/{name}") for name in names
        ]


def test_manifest_has_each_image_once_and_no_block_of_two_shards() -> None:
    work = work_of(jobs()).without({0: frozenset({"000000"})})

    rows = [row for block in manifest(work, 1) for row in block.to_pylist()]

    named = [name for row in rows for name in work.shards[row["shard"]].part(row["start"], row["stop"]).ids]
    assert named == ["000001", "000002", "000003", "000004"]


def test_blocks_and_first_images_end_where_images_go_together_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shards, "IMAGES_PER_SHARD", 64)
    monkeypatch.setattr(small_work, "TRIAL_SECONDS", 0.0)
    job = jobs(27)[0]
    work = work_of([job])

    rows = [row for block in manifest(work, 9) for row in block.to_pylist()]
    first = list(small_work.count_first(work, context_of(open_store(str(tmp_path)))))

    assert [(row["start"], row["stop"]) for row in rows] == [(0, 16), (16, 27)]
    assert len(first) == 16


def test_one_broken_image_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    given = jobs(2)[:1]
    kind = type(given[0].dataset)
    read = kind.__getitem__

    def broken(dataset: object, index: int) -> Sample:
        if index == 0:
            raise InputError("0.png: not an image.")
        return read(dataset, index)

    monkeypatch.setattr(kind, "__getitem__", broken)
    work, problems = work_of(given), []
    (block,) = manifest(work, 32)

    (counted,) = read_counts(CountingActor(work, "cpu")(block), problems)

    assert problems == ["shapes-pas-20: image '000000' cannot be counted: 0.png: not an image."]
    assert [image.id for image in counted.counts[0]] == ["000001"]


def test_what_travels_to_actors_is_found_there_by_its_name() -> None:
    # Functions and instances that jaxtyping has wrapped do not pickle by value.
    work = work_of(jobs(2))

    arrived = pickle.loads(pickle.dumps(work))

    assert arrived.shards == work.shards
    assert [job.fingerprint for job in arrived.jobs] == [job.fingerprint for job in work.jobs]


def untimely() -> LoGoSeg:
    raise ModelError("weights.safetensors: a safetensors file that is cut off.")


class Failing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = network().text_encoder

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> torch.Tensor:
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        return self.text_encoder.digest()

    def forward(self, *_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")


@pytest.mark.parametrize(
    ("open_model", "kind", "words"),
    [
        (untimely, InputError, r"^weights.safetensors: a safetensors file that is cut off\.$"),
        (Failing, WorkError, "^evaluation on Ray: RuntimeError: CUDA error: an illegal memory access was encountered$"),
    ],
    ids=["open_model", "forward"],
)
def test_what_goes_wrong_in_an_actor_comes_home_as_its_cause(
    open_model: Callable[[], torch.nn.Module], kind: type[Exception], words: str
) -> None:
    given = jobs(2)[:1]
    work = plan_work(given, [job.shards() for job in given], {SUBJECT: open_model})
    (block,) = manifest(work, 32)

    table = CountingActor(work, "cpu")(block)

    with pytest.raises(kind, match=words):
        list(read_counts(table, []))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """What is left to actors, which give nothing."""
    works: list[Work] = []

    def actors(work: Work, context: RunContext, num_actors: int | None = None) -> Iterator[Counted]:
        works.append(work)
        return iter(())

    monkeypatch.setattr(pipeline, "count_by_actors", actors)
    return works


def all_images(work: Work) -> list[tuple[int, str]]:
    return [(number, name) for number, shard in enumerate(work.shards) for name in shard.ids]


def test_small_work_by_its_first_images_is_done_here_and_said(
    sent: list[Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(small_work, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(pipeline, "SMALL_WORK_SECONDS", 1e6)
    work = work_of(jobs())

    counted = list(count_on_ray(work, context_of(open_store(str(tmp_path)))))

    assert [(one.shard, one.counts[0][0].id) for one in counted] == all_images(work)
    assert sent == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("s of work: counted in this process, without Ray.")


def test_larger_work_goes_to_actors_without_its_first_images(
    sent: list[Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(small_work, "TRIAL_SECONDS", 0.0)
    monkeypatch.setattr(pipeline, "SMALL_WORK_SECONDS", 0.0)
    work = work_of(jobs())

    counted = list(count_on_ray(work, context_of(open_store(str(tmp_path)))))

    assert len(counted) == 4  # the first shard tells of the start, not of the pace
    assert all_images(sent[0]) == all_images(work)[4:]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("limit", "is_small"), [(0.5, False), (2.0, True)])
def test_records_say_how_long_work_takes_before_any_image_is_counted(
    limit: float,
    is_small: bool,
    plain: tuple[Store, list[EvaluationRecord]],
    sent: list[Work],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(str(plain[0]), tmp_path / "store")
    store, record = open_store(str(tmp_path / "store")), plain[1][0]
    num_images = record.figures["num_images"]
    work = work_of([EvaluationJob(replace(job.spec, num_images=4), job.dataset) for job in jobs()[:1]])
    pace = sorted((one.cost.seconds - one.cost.lost_seconds) / num_images for one in store.evaluations())[
        1
    ]  # the median of three
    monkeypatch.setattr(pipeline, "SMALL_WORK_SECONDS", limit * pace * 4)

    counted = list(count_on_ray(work, context_of(store)))

    assert [len(counted), len(sent)] == ([4, 0] if is_small else [0, 1])


def test_stop_is_asked_before_each_image_of_small_work(sent: list[Work], tmp_path: Path) -> None:
    from ovlab.specs.errors import Stopped

    stop: Callable[[], bool] = iter([False, False, True]).__next__

    with pytest.raises(Stopped, match="the same command continues"):
        list(count_on_ray(work_of(jobs()), context_of(open_store(str(tmp_path)), stop=stop)))
