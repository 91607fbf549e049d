"""ovlab.runs.validator: what is scored on the way changes nothing, is told, and leaves the best weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import micro_run
from hearing import Hearing
from ovlab.evaluation.evaluator import evaluate
from ovlab.methods.networks import read_network
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.runs import validator
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.validation import BEST_WEIGHTS, Validation, read_best
from ovlab.runs.work import EvaluationJob
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.evaluation import whole
from ovlab.specs.events import Step, Validated
from ovlab.store.journal import read_journal, validations_of
from ovlab.store.record import TrainingRecord
from ovlab.store.store import open_store

ON_THE_WAY = Validation(every=2, place="shapes-pas-20", split="val", num_images=3)


def trained(folder: Path, **changes: Any) -> TrainingRecord:
    return micro_run.micro_training(open_store(str(folder / "store")), folder / "work", **changes)


def best_folder(folder: Path, record: TrainingRecord) -> Path:
    return folder / "work" / record.fingerprint


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingRecord, list[Validated]]:
    """A training of four updates, scored on its way, and what was told. Not to be changed."""
    folder, told = tmp_path_factory.mktemp("validated"), list[Validated]()
    record = trained(folder, validation=ON_THE_WAY, observer=Hearing(on_validation=told.append))
    return folder, record, told


def test_weights_are_the_same_to_the_bit_with_validation_and_without(
    validated: tuple[Path, TrainingRecord, list[Validated]], tmp_path: Path
) -> None:
    assert validated[1].weights == trained(tmp_path).weights


def test_score_of_the_last_update_is_that_of_an_evaluation_of_the_weights(
    validated: tuple[Path, TrainingRecord, list[Validated]],
) -> None:
    folder, record, told = validated
    model = read_network(best_folder(folder, record) / "weights.safetensors", {})
    dataset = open_shapes("shapes-pas-20", "val")
    job = EvaluationJob(resolve_evaluation(record.fingerprint, dataset, "val", whole(64), num_images=3), dataset)

    images = evaluate(model, [job.question(model)], [job.images], device=torch.device("cpu"))
    expected = sum_counts((image.counts for (image,) in images), len(job.labels.scored))

    assert [one.step for one in told] == [2, 4]
    assert told[-1].figures["miou"] == expected["miou"][0]
    assert told[-1].images == ("shapes-pas-20", "val", 3)
    assert validations_of(read_journal(open_store(str(folder / "store")), record.fingerprint)) == told


def test_best_weights_are_those_of_the_best_score_though_the_run_was_stopped_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of 0.2, 0.5, 0.1 and 0.5 for the four updates: the second is kept, as the fourth is no better."""
    scores = {1: 0.2, 2: 0.5, 3: 0.1, 4: 0.5}

    def scored(self: validator.Validator, step: int) -> Validated:
        return Validated(step=step, benchmark="b", split="val", num_images=3, figures={"miou": scores[step]})

    monkeypatch.setattr(validator.Validator, "_validated", scored)
    states = {}
    every_update = replace(ON_THE_WAY, every=1)
    steps: list[Step] = []

    def hear(step: int, path: Path) -> None:
        states[step] = torch.load(path, weights_only=True)["model"]

    given = {"validation": every_update, "checkpoint_every": 1}
    observer = Hearing(on_step=steps.append, on_checkpoint=hear)
    with pytest.raises(Stopped):
        trained(tmp_path, observer=observer, stop=lambda: len(steps) == 3, **given)
    record = trained(tmp_path, **given)

    folder = best_folder(tmp_path, record)
    best = read_best(folder)
    assert best is not None
    assert (best.step, best.figures) == (2, {"miou": 0.5})
    kept = read_network(folder / BEST_WEIGHTS, {}).state_dict()
    assert all(torch.equal(kept[name], value) for name, value in states[2].items())
    assert not all(torch.equal(states[3][name], value) for name, value in states[2].items())


def test_score_on_other_images_takes_the_place_of_a_better_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scored(self: validator.Validator, step: int) -> Validated:
        benchmark = "first" if step == 2 else "second"
        return Validated(step=step, benchmark=benchmark, split="val", num_images=3, figures={"miou": 1 / step})

    monkeypatch.setattr(validator.Validator, "_validated", scored)

    record = trained(tmp_path, validation=ON_THE_WAY)

    best = read_best(best_folder(tmp_path, record))
    assert best is not None
    assert (best.step, best.benchmark) == (4, "second")
    log = read_journal(open_store(str(tmp_path / "store")), record.fingerprint)
    assert [one.benchmark for one in validations_of(log)] == ["second"]


def test_data_that_are_not_there_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        trained(tmp_path, validation=replace(ON_THE_WAY, place=str(tmp_path / "nowhere")))

    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("changes", [{"every": 0}, {"num_images": 0}])
def test_validation_of_nothing_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be at least 1, got 0"):
        replace(ON_THE_WAY, **changes)
