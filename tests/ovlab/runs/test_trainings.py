"""ovlab.runs.trainings and evaluations: nothing is computed twice, and whatever is killed comes to the same end."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import micro_run
from hearing import Hearing
from image_tables import whole_numbers
from logoseg.network import LoGoSeg
from ovlab.datasets.selection import first_samples
from ovlab.evaluation.evaluator import evaluate
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.subject import open_stored
from ovlab.shapes.dataset import ShapesDataset
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.events import Step
from ovlab.specs.resolved import training_fingerprint
from ovlab.store.artifacts import fetch_weights
from ovlab.store.costs import costs_of
from ovlab.store.count_shards import columns_of
from ovlab.store.journal import journaled_runs, read_curve, read_journal, status_of
from ovlab.store.record import TrainingRecord
from ovlab.store.store import Store, open_store
from ovlab.tracking.provenance import Source
from ovlab.training.step import DivergenceError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, TrainingRecord]:
    """A store with a finished training, not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    store = open_store(str(folder / "store"))
    return store, micro_run.micro_training(store, folder / "work", source=Source(commit="abc"))


@pytest.fixture
def store(trained: tuple[Store, TrainingRecord], tmp_path: Path) -> Store:
    """A copy of that store, to be written to."""
    shutil.copytree(str(trained[0]), tmp_path / "store")
    return open_store(str(tmp_path / "store"))


def no_model() -> LoGoSeg:
    raise AssertionError("nothing is to be computed")


def test_ensure_training_writes_a_record_weights_and_curve_and_no_checkpoints(
    trained: tuple[Store, TrainingRecord], tmp_path: Path
) -> None:
    store, record = trained

    assert record.fingerprint == training_fingerprint(micro_run.resolved())
    assert record.training == micro_run.resolved()
    assert (record.num_steps, record.provenance["source"]["commit"]) == (4, "abc")
    assert record.class_names == micro_run.training_data().class_names
    assert record.cost.device == "cpu"
    assert record.cost.seconds > 0
    processed = [step.process_seconds for step in read_curve(store, record.fingerprint)]
    assert record.cost.process_seconds == pytest.approx(sum(processed))
    assert min(processed) > 0
    assert (record.cost.gpu_seconds, record.cost.lost_seconds, len(record.cost.attempts)) == (0, 0, 1)
    assert store.folder.sizes(f"trainings/{record.fingerprint}").keys() == {"record.json", record.weights.name}
    assert [step.step for step in read_curve(store, record.fingerprint)] == [1, 2, 3, 4]
    assert status_of(read_journal(store, record.fingerprint)).status == "FINISHED"
    assert store.folder.folders(f"trainings/{record.fingerprint}") == []
    own = Path(str(store)).parent / "work" / record.fingerprint / "weights.safetensors"
    assert own.read_bytes() == fetch_weights(store, record, tmp_path).read_bytes()


def test_ensure_training_second_call_computes_nothing(trained: tuple[Store, TrainingRecord], tmp_path: Path) -> None:
    store, record = trained

    assert micro_run.micro_training(store, tmp_path / "elsewhere") == record
    assert not (tmp_path / "elsewhere").exists()


def test_ensure_training_stopped_continues_on_another_machine_with_its_curve(
    trained: tuple[Store, TrainingRecord], s3_bucket: str, tmp_path: Path
) -> None:
    store = open_store(f"s3://{s3_bucket}/store")
    first: list[Step] = []
    with pytest.raises(Stopped, match="stopped after 3 steps"):
        micro_run.micro_training(
            store, tmp_path / "one", observer=Hearing(on_step=first.append), stop=lambda: len(first) == 3
        )
    then: list[Step] = []

    record = micro_run.micro_training(store, tmp_path / "two", observer=Hearing(on_step=then.append))

    assert [step.step for step in (*first, *then)] == [1, 2, 3, 4]
    assert record.weights == trained[1].weights
    assert record.final_loss == trained[1].final_loss
    assert [attempt.status for attempt in record.cost.attempts] == ["stopped", "finished"]
    assert [step.step for step in read_curve(store, record.fingerprint)] == [1, 2, 3, 4]


def test_ensure_training_that_fails_says_so_in_the_journal(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))

    def diverge(record: Step) -> None:
        raise DivergenceError("step 1: the loss is nan")

    with pytest.raises(DivergenceError):
        micro_run.micro_training(store, tmp_path / "work", observer=Hearing(on_step=diverge))

    run = training_fingerprint(micro_run.resolved())
    (attempt,) = costs_of(store, run, run)
    assert (attempt.status, attempt.cause) == ("failed", "DivergenceError: step 1: the loss is nan")
    assert list(store.records()) == []


def test_ensure_training_with_other_data_than_planned_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))

    class Other(micro_run.MicroSources):
        def dataset(self, name: str, split: str) -> ShapesDataset:
            return replace(micro_run.training_data(), num_samples=3)

    with pytest.raises(InputError, match="not those it was planned with"):
        micro_run.micro_training(store, tmp_path / "work", sources=Other())

    assert not (tmp_path / "work").exists()
    assert journaled_runs(store) == []


def test_ensure_evaluations_counts_are_those_of_the_plain_evaluator_to_the_bit(
    trained: tuple[Store, TrainingRecord], store: Store, tmp_path: Path
) -> None:
    _, training = trained
    records = micro_run.micro_evaluations(store, tmp_path, training)

    model = open_stored(store, training)
    for record, job in zip(records, micro_run.jobs(training.fingerprint), strict=True):
        images = first_samples(job.dataset, micro_run.NUM_IMAGES)
        plain = evaluate(model, [job.question(model)], [images], device=micro_run.CPU)
        expected = sum_counts((image.counts for (image,) in plain), record.num_classes)
        stored = columns_of(store, record.fingerprint).images()
        found = sum_counts((image.counts for image in stored), record.num_classes)
        assert whole_numbers(found) == whole_numbers(expected)
        assert found.num_images == micro_run.NUM_IMAGES
        assert record.figures["miou"] == expected["miou"][0]
        assert (record.figures["num_images"], record.num_shards) == (micro_run.NUM_IMAGES, 3)
        assert store.evaluation(job.fingerprint) == record
    assert [record.num_classes for record in records] == [20, 21]


def test_ensure_evaluations_second_call_opens_no_model(
    trained: tuple[Store, TrainingRecord], store: Store, tmp_path: Path
) -> None:
    records = micro_run.micro_evaluations(store, tmp_path, trained[1])

    assert micro_run.micro_evaluations(store, tmp_path, trained[1], open_model=no_model) == records


def test_resolve_evaluation_makes_the_label_space_part_of_the_protocol() -> None:
    plain, with_background = (job.spec for job in micro_run.jobs("a" * 64))

    assert plain.protocol.scoring.collapse is None
    assert with_background.protocol.scoring.collapse.background == 20
    dataset = micro_run.jobs("a" * 64)[0].dataset
    whole_split = resolve_evaluation("a" * 64, dataset, "val", plain.protocol)
    assert whole_split == replace(plain, num_images=None)


def test_training_and_evaluations_killed_again_and_again_end_with_the_same_weights_and_figures(
    trained: tuple[Store, TrainingRecord], tmp_path: Path
) -> None:
    program = subprocess.run(
        [sys.executable, micro_run.__file__, str(tmp_path)], capture_output=True, text=True, check=True
    )

    lines = program.stdout.splitlines()
    kills = [signal.SIGKILL] * len(micro_run.DEATHS)
    assert lines[0] == "0", program.stderr
    assert [int(word) for word in lines[1].split()] == [*kills, 0], program.stderr
    assert json.loads(lines[3]) == json.loads(lines[2])
    store = open_store(str(tmp_path / "killed" / "store"))
    (record,) = store.trainings()
    assert len(record.cost.attempts) == 5
    assert {attempt.status for attempt in record.cost.attempts[:3]} == {"stopped"}
    weights = [
        fetch_weights(open_store(str(tmp_path / name / "store")), record, tmp_path / name)
        for name in ("undisturbed", "killed")
    ]
    first, second = (load_file(path) for path in weights)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(columns_of(store, next(store.evaluations()).fingerprint).ids) == micro_run.NUM_IMAGES
    # One update behind the first checkpoint was lost in training, images of unfinished shards in evaluation.
    for cost in (record.cost, *(evaluation.cost for evaluation in store.evaluations())):
        assert cost.lost_seconds == pytest.approx(sum(attempt.lost_seconds for attempt in cost.attempts))
        assert 0 < cost.lost_seconds < cost.seconds
        assert cost.process_seconds is not None
        assert cost.process_seconds > 0
