"""ovlab.runs.evaluations: what is counted, by whatever executor, is committed, recorded and told once."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.journaling import journaled
from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.runs.work import Counted, EvaluationJob, Work, count_here
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError, Stopped, WorkError
from ovlab.specs.evaluation import whole
from ovlab.specs.events import Begun, Counts, RunHeader
from ovlab.store.count_shards import columns_of
from ovlab.store.pictures import pictures_of
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store, open_store

SUBJECT = "a" * 64
BENCHMARKS = ("shapes-pas-20", "shapes-pas-20b")
NUM_IMAGES = 5


def network() -> LoGoSeg:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    torch.manual_seed(0)
    return LoGoSeg(replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)).eval()


def no_network() -> nn.Module:
    raise AssertionError("nothing is to be computed")


def jobs(names: Sequence[str] = BENCHMARKS) -> list[EvaluationJob]:
    datasets = [open_shapes(name, "val", num_samples=8) for name in names]
    return [
        EvaluationJob(resolve_evaluation(SUBJECT, data, "val", whole(64), num_images=NUM_IMAGES), data)
        for data in datasets
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[EvaluationRecord]]:
    """Both evaluations by one process, not to be changed."""
    store = open_store(str(tmp_path_factory.mktemp("made")))
    return store, ensure(store)


class Heard(Observer):
    """All that there is to hear of evaluations."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []
        self.counts: list[Counts] = []
        self.records: list[TrainingRecord | EvaluationRecord] = []

    def on_begin(self, begun: Begun) -> None:
        self.begun.append(begun)

    def on_counts(self, counts: Counts) -> None:
        self.counts.append(counts)

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        self.records.append(record)

    @property
    def num_images(self) -> int:
        return sum(counts.num_images for counts in self.counts)


class MadeCounts:
    """An executor that computes nothing: it notes what it is asked for and gives out counts as if each image were one
    pixel, rightly predicted."""

    def __init__(self, change: Callable[[Counted], Iterator[Counted]] = lambda counted: iter([counted])) -> None:
        self.asked: list[Work] = []
        self.change = change

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        self.asked.append(work)
        pixel = SparseCounts(np.zeros(1, np.uint16), np.zeros(1, np.uint16), np.ones(1, np.int64))
        # Backwards: any order is right.
        for number, shard in reversed(list(enumerate(work.shards))):
            images = [ImageCounts(name, pixel) for name in shard.ids]
            yield from self.change(Counted(number, dict.fromkeys(shard.jobs, images), 8.0, 6.0))

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        raise AssertionError("no training is asked for")

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        raise AssertionError("no run is asked for")


def ensure(
    store: Store,
    open_model: Callable[[], nn.Module] = network,
    *,
    given: Sequence[EvaluationJob] | None = None,
    executor: Executor | None = None,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[EvaluationRecord]:
    context = RunContext(store=store, workdir=Path("unused"), device="cpu", observer=observer or Observer(), stop=stop)
    with journaled(RunHeader(run=SUBJECT, name="made"), context) as inner:
        return ensure_evaluations(given or jobs(), {SUBJECT: open_model}, inner, executor or Here())


def as_lists(images: Sequence[ImageCounts]) -> list[tuple[object, ...]]:
    return [(image.id, *(part.tolist() for part in image.counts[:3])) for image in images]


def test_every_image_is_heard_of_and_every_shard_and_record(tmp_path: Path) -> None:
    heard, store = Heard(), open_store(str(tmp_path))

    records = ensure(store, observer=heard)

    assert [(begun.fingerprint, begun.total, begun.num_done) for begun in heard.begun] == [
        (job.fingerprint, NUM_IMAGES, 0) for job in jobs()
    ]
    assert {(begun.work, begun.device, begun.num_gpus) for begun in heard.begun} == {("evaluation", "cpu", 0)}
    for record in records:
        told = [counts for counts in heard.counts if counts.evaluation == record.fingerprint]
        assert {(counts.subject, counts.benchmark) for counts in told} == {(SUBJECT, record.evaluation.benchmark)}
        assert [counts.num_images for counts in told] == [1] * NUM_IMAGES
        # Two images a shard, and one in the last.
        assert [counts.num_shards for counts in told] == [0, 1, 0, 1, 1]
        assert [counts.num_shards_left for counts in told] == [3, 2, 2, 1, 0]
        assert [counts.shard for counts in told] == [f"{number:05d}.parquet" for number in (0, 0, 1, 1, 2)]
        assert record.cost.seconds == pytest.approx(sum(counts.seconds for counts in told))
        assert record.cost.process_seconds == pytest.approx(sum(counts.process_seconds for counts in told))
        assert record.cost.process_seconds > 0
        assert pictures_of(store, record.fingerprint) is not None
    assert heard.records == records


def test_second_call_opens_no_network_and_tells_of_the_records_alone(
    made: tuple[Store, list[EvaluationRecord]],
) -> None:
    heard = Heard()

    assert ensure(made[0], no_network, observer=heard) == made[1]

    assert (heard.begun, heard.counts, heard.records) == ([], [], made[1])


def test_executor_of_ones_own_is_asked_for_each_shared_image_once_and_its_counts_become_the_scores(
    tmp_path: Path,
) -> None:
    store, executor = open_store(str(tmp_path)), MadeCounts()

    first, second = ensure(store, executor=executor)

    (work,) = executor.asked
    assert [shard.jobs for shard in work.shards] == [(0, 1)] * 3
    assert sorted(name for shard in work.shards for name in shard.ids) == sorted(jobs()[0].images.sample_ids)
    assert (first.figures["miou"], first.figures["num_pixels"]) == (1.0, NUM_IMAGES)
    assert as_lists(columns_of(store, second.fingerprint).images())[0] == ("000000", [0], [0], [1])
    # Three shards of 8 s each, of which both evaluations paid half.
    assert [record.cost.seconds for record in (first, second)] == [12.0, 12.0]


def test_images_that_do_not_come_out_are_named_and_what_is_whole_is_kept(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))

    def first_images(counted: Counted) -> Iterator[Counted]:
        yield counted._replace(counts={job: images[:1] for job, images in counted.counts.items()})

    with pytest.raises(WorkError, match="2 images went in and did not come out: 000001, 000003"):
        ensure(store, executor=MadeCounts(first_images))

    again = MadeCounts()
    ensure(store, executor=again)
    assert [shard.file for shard in again.asked[0].shards] == ["00000.parquet", "00001.parquet"]


def test_evaluation_that_is_whole_has_its_record_when_another_fails(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    given = jobs(("shapes-pas-20", "shapes-pc-59"))
    apart = [given[0], EvaluationJob(replace(given[1].spec, protocol=whole(96)), given[1].dataset)]

    def fail(counted: Counted) -> Iterator[Counted]:
        if counted.shard == 0:  # the last to come; it is of the first evaluation
            raise InputError("an image is damaged")
        yield counted

    with pytest.raises(InputError, match="damaged"):
        ensure(store, given=apart, executor=MadeCounts(fail))

    assert store.evaluation(apart[1].fingerprint) is not None
    assert store.evaluation(apart[0].fingerprint) is None


def test_images_of_another_data_set_are_refused(tmp_path: Path) -> None:
    def others(counted: Counted) -> Iterator[Counted]:
        there = next(iter(counted.counts.values()))
        yield counted._replace(counts={job: [*there, there[0]._replace(id="other")] for job in counted.counts})

    with pytest.raises(WorkError, match="not asked for: other"):
        ensure(open_store(str(tmp_path)), executor=MadeCounts(others))


def test_executor_is_let_go_when_an_observer_fails(tmp_path: Path) -> None:
    let_go: list[bool] = []

    class Failing(Observer):
        def on_counts(self, counts: Counts) -> None:
            raise ConnectionError("the observer's own")

    class Tidy(MadeCounts):
        def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
            try:
                yield from super().count(work, context)
            finally:
                let_go.append(True)

    with pytest.raises(ConnectionError) as error:
        ensure(open_store(str(tmp_path)), executor=Tidy(), observer=Failing())

    assert let_go == [True], error


def test_stopped_goes_on_with_the_first_missing_shard(
    made: tuple[Store, list[EvaluationRecord]], tmp_path: Path
) -> None:
    store, first, second = open_store(str(tmp_path)), Heard(), Heard()
    with pytest.raises(Stopped, match=r"shapes-pas-20: stopped in shard 00001\.parquet"):
        ensure(store, observer=first, stop=lambda: first.num_images == 6)

    records = ensure(store, observer=second)

    assert [begun.num_done for begun in second.begun] == [2, 2]
    assert second.num_images == 2 * (NUM_IMAGES - 2)  # the first shard of both was not counted again
    assert [attempt.status for attempt in records[0].cost.attempts] == ["stopped", "finished"]
    assert records[0].cost.lost_seconds > 0
    assert [record.figures for record in records] == [record.figures for record in made[1]]


def test_damaged_shard_is_counted_again_to_the_same_scores(
    made: tuple[Store, list[EvaluationRecord]], tmp_path: Path
) -> None:
    shutil.copytree(str(made[0]), tmp_path / "store")
    store, before = open_store(str(tmp_path / "store")), made[1][0]
    folder = f"evaluations/{before.fingerprint}"
    store.folder.remove(f"{folder}/record.json")
    store.folder.write(f"{folder}/counts/00001.parquet", b"PAR1 half a file")

    after = ensure(store)[0]

    assert (after.figures, after.classes) == (before.figures, before.classes)


def test_record_that_is_lost_is_made_of_the_counts_alone(
    made: tuple[Store, list[EvaluationRecord]], tmp_path: Path
) -> None:
    shutil.copytree(str(made[0]), tmp_path / "store")
    store, before = open_store(str(tmp_path / "store")), made[1][0]
    store.folder.remove(f"evaluations/{before.fingerprint}/record.json")
    executor, heard = MadeCounts(), Heard()

    after = ensure(store, no_network, executor=executor, observer=heard)[0]

    assert (after.figures, after.classes) == (before.figures, before.classes)
    assert executor.asked == []
    assert [begun.num_done for begun in heard.begun] == [NUM_IMAGES]


def test_other_data_than_planned_are_refused(made: tuple[Store, list[EvaluationRecord]], tmp_path: Path) -> None:
    job = jobs()[0]
    other = EvaluationJob(job.spec, replace(job.dataset, num_samples=7))
    other_program = EvaluationJob(replace(job.spec, prediction_version=99), job.dataset)

    for given in (other, other_program):
        with pytest.raises(InputError, match="not those it was planned with"):
            ensure(open_store(str(tmp_path)), no_network, given=[given])

    assert not any(tmp_path.iterdir())


def test_scores_are_those_of_the_counts_in_the_store(made: tuple[Store, list[EvaluationRecord]]) -> None:
    store, records = made
    for record in records:
        stored = columns_of(store, record.fingerprint).images()
        found = sum_counts((image.counts for image in stored), record.num_classes)

        assert record.figures["miou"] == found["miou"][0]
        assert (record.figures["num_images"], record.num_shards) == (NUM_IMAGES, 3)
    assert [record.num_classes for record in records] == [20, 21]


def test_two_subjects_are_opened_one_after_the_other(tmp_path: Path) -> None:
    opened: list[str] = []
    other = "b" * 64
    given = jobs()[:1]
    given += [EvaluationJob(replace(given[0].spec, subject=other), given[0].dataset)]

    def opener(name: str) -> Callable[[], nn.Module]:
        def open_model() -> nn.Module:
            opened.append(name)
            return network()

        return open_model

    models: Mapping[str, Callable[[], nn.Module]] = {name: opener(name) for name in (SUBJECT, other)}
    context = RunContext(store=open_store(str(tmp_path)), workdir=tmp_path, device="cpu")

    with journaled(RunHeader(run=SUBJECT, name="made"), context) as inner:
        records = ensure_evaluations(given, models, inner, Here())

    # To count, then for the pictures.
    assert opened == [SUBJECT, other, SUBJECT, other]
    assert records[0].figures == records[1].figures


def test_count_here_gives_the_images_in_the_order_of_the_work_one_at_a_time(tmp_path: Path) -> None:
    executor = MadeCounts()
    ensure(open_store(str(tmp_path)), executor=executor)
    (work,) = executor.asked
    context = RunContext(store=open_store(str(tmp_path)), workdir=tmp_path, device="cpu")

    counted = list(count_here(Work(jobs=work.jobs, open_model={SUBJECT: network}, shards=work.shards), context))

    assert [(one.shard, len(one.counts[0]), len(one.counts[1])) for one in counted] == [
        (number, 1, 1) for number, shard in enumerate(work.shards) for _ in shard.ids
    ]
    assert [one.counts[0][0].id for one in counted] == [name for shard in work.shards for name in shard.ids]
    assert all(one.seconds > 0 for one in counted)


def test_counts_that_were_exchanged_are_counted_again_shard_by_shard(
    made: tuple[Store, list[EvaluationRecord]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(str(made[0]), tmp_path / "store")
    store, (first, second) = open_store(str(tmp_path / "store")), made[1]
    places = [f"evaluations/{record.fingerprint}/counts/00001.parquet" for record in (first, second)]
    contents = [store.folder.read(place) for place in places]
    for place, content in zip(places, reversed(contents), strict=True):
        store.folder.write(place, content)
    heard = Heard()

    after = ensure(store, observer=heard)

    assert [(record.figures, record.count_digests) for record in after] == [
        (record.figures, record.count_digests) for record in (first, second)
    ]
    assert heard.num_images == 4  # the one shard of two images, in both
    assert [store.folder.read(place) for place in places] == contents
    assert f"evaluation {first.fingerprint[:12]}: 00001.parquet holds other counts than its record" in caplog.text


def test_counts_that_are_those_of_their_record_are_left_alone(
    made: tuple[Store, list[EvaluationRecord]], tmp_path: Path
) -> None:
    shutil.copytree(str(made[0]), tmp_path / "store")
    executor = MadeCounts()

    assert ensure(open_store(str(tmp_path / "store")), no_network, executor=executor) == made[1]
    assert executor.asked == []
