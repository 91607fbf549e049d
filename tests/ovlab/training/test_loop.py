"""Runs of tiny_run.py. `undisturbed` is one that nothing interrupted; the others must end with its very weights."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import tiny_run
from ovlab.datasets.sample import Sample
from ovlab.specs.errors import InputError
from ovlab.specs.events import Step
from ovlab.specs.resolved import TRAINING_VERSION
from ovlab.specs.serialization import spec_from_json
from ovlab.specs.training import TrainingSpec
from ovlab.training.run_folder import open_run_folder
from ovlab.training.step import DivergenceError


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert tiny_run.tiny_train(folder).status == "finished"
    return folder


def assert_same_run(folder: Path, undisturbed: Path) -> None:
    """Equal weights to the bit, and a log of the same updates with the same figures, but for the speed."""
    ours, theirs = (load_file(path / "weights.safetensors") for path in (folder, undisturbed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert tiny_run.log_of(folder) == tiny_run.log_of(undisturbed)


def test_run_to_the_end_writes_spec_checkpoints_and_weights(undisturbed: Path) -> None:
    assert [record.step for record in tiny_run.log_of(undisturbed)] == list(range(1, 9))
    written = json.loads((undisturbed / "spec.json").read_text())["training"]
    assert spec_from_json(TrainingSpec, json.dumps(written), place="spec.json") == tiny_run.SPEC
    assert sorted(path.name for path in (undisturbed / "checkpoints").iterdir()) == [
        "step-00000003.pt",
        "step-00000006.pt",
    ]
    with safe_open(undisturbed / "weights.safetensors", "pt") as file:
        assert json.loads(file.metadata()["logoseg"])["class_names"] == ["sky", "road", "tree"]
        assert set(file.keys()) == set(tiny_run.TinyNetwork().state_dict())


def test_run_with_more_loader_workers_ends_with_the_same_weights(undisturbed: Path, tmp_path: Path) -> None:
    tiny_run.tiny_train(tmp_path / "run", num_loader_workers=2)

    assert_same_run(tmp_path / "run", undisturbed)


def test_run_of_another_seed_gives_other_weights(undisturbed: Path, tmp_path: Path) -> None:
    tiny_run.tiny_train(tmp_path / "run", spec=replace(tiny_run.SPEC, seed=1))

    ours, theirs = (load_file(path / "weights.safetensors") for path in (tmp_path / "run", undisturbed))
    assert not any(torch.equal(ours[name], theirs[name]) for name in ("image_encoder.weight", "project.weight"))


def test_run_killed_again_and_again_ends_with_the_same_weights_and_log(tmp_path: Path) -> None:
    program = subprocess.run(
        [sys.executable, tiny_run.__file__, str(tmp_path)], capture_output=True, text=True, check=True
    )

    signals = [[int(word) for word in line.split()] for line in program.stdout.splitlines()]
    expected = [[0] + [signal.SIGKILL] * len(run.deaths) + [0] for run in tiny_run.RUNS.values()]
    assert signals == expected, program.stderr
    for name in tiny_run.RUNS:
        assert_same_run(tmp_path / name / "killed", tmp_path / name / "undisturbed")
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("step", range(1, 8))
def test_run_asked_to_stop_saves_its_state_and_continues(step: int, undisturbed: Path, tmp_path: Path) -> None:
    done: list[Step] = []
    stopped = tiny_run.tiny_train(tmp_path / "run", on_step=[done.append], stop=lambda: len(done) == step)

    assert (stopped.status, stopped.num_steps) == ("stopped", step)
    assert not (tmp_path / "run" / "weights.safetensors").exists()

    finished = tiny_run.tiny_train(tmp_path / "run", on_step=[done.append], num_loader_workers=step % 2)
    assert (finished.status, [record.step for record in done]) == ("finished", list(range(1, 9)))
    assert_same_run(tmp_path / "run", undisturbed)


def test_run_with_hooks_that_draw_random_numbers_ends_with_the_same_weights(undisturbed: Path, tmp_path: Path) -> None:
    saved: list[tuple[int, str]] = []
    tiny_run.tiny_train(
        tmp_path / "run",
        on_step=[lambda record: torch.rand(record.step)],
        on_checkpoint=lambda step, path: saved.append((step, path.name)),
    )

    assert saved == [(3, "step-00000003.pt"), (6, "step-00000006.pt")]
    assert_same_run(tmp_path / "run", undisturbed)


def test_run_that_is_finished_is_left_as_it_is(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.suffix}

    result = tiny_run.tiny_train(undisturbed)

    assert (result.status, result.num_steps) == ("already_finished", 8)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.suffix} == before


def with_other_steps() -> dict:
    return {"spec": replace(tiny_run.SPEC, schedule=replace(tiny_run.SPEC.schedule, steps=9), seed=4)}


def with_other_classes() -> dict:
    dataset = tiny_run.Pictures()
    dataset.class_names = ("sky", "road", "tree", "car")
    return {"dataset": dataset}


def with_other_samples() -> dict:
    dataset = tiny_run.Pictures()
    dataset.sample_ids = tuple("abcd")
    return {"dataset": dataset}


def with_other_frozen_weights() -> dict:
    model = tiny_run.TinyNetwork()
    model.scale.data[2] = 3.0
    return {"model": model}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_other_steps, ["schedule.steps is 8 there, 9 here; seed is 0 there, 4 here", "Give another folder"]),
        (with_other_classes, ["the classes of pictures have changed", "3 then, 4 now"]),
        (with_other_samples, ["the samples of pictures train have changed"]),
        (with_other_frozen_weights, ["other CLIP weights"]),
    ],
)
def test_run_in_the_folder_of_another_run_is_refused_and_names_the_difference(
    change: Callable[[], dict], words: list[str], undisturbed: Path
) -> None:
    before = (undisturbed / "spec.json").read_bytes()

    with pytest.raises(InputError) as error:
        tiny_run.tiny_train(undisturbed, **change())

    assert all(word in str(error.value) for word in [str(undisturbed), *words]), str(error.value)
    assert "\n" not in str(error.value)
    assert (undisturbed / "spec.json").read_bytes() == before


class OtherPictures(tiny_run.Pictures):
    """Of the same names, as a folder has whose files were replaced."""

    digest = "0" * 64


def test_checkpoints_exchanged_by_two_runs_of_one_spec_are_refused(tmp_path: Path) -> None:
    done: list[Step] = []
    for name, dataset in (("ours", tiny_run.Pictures()), ("theirs", OtherPictures())):
        tiny_run.tiny_train(tmp_path / name, dataset=dataset, on_step=[done.append], stop=lambda: done[-1].step == 3)
    ours, theirs = (tmp_path / name / "checkpoints" / "step-00000003.pt" for name in ("ours", "theirs"))
    content = ours.read_bytes()
    shutil.copy(theirs, ours)
    theirs.write_bytes(content)

    for name, dataset in (("ours", tiny_run.Pictures()), ("theirs", OtherPictures())):
        with pytest.raises(InputError, match="step 3 is of a run with other data"):
            tiny_run.tiny_train(tmp_path / name, dataset=dataset)
        assert not (tmp_path / name / "weights.safetensors").exists()


def test_run_begun_by_another_training_version_is_refused(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(undisturbed, tmp_path / "run")
    monkeypatch.setattr(tiny_run.loop, "TRAINING_VERSION", TRAINING_VERSION + 1)

    with pytest.raises(InputError, match=f"began with training version {TRAINING_VERSION}"):
        tiny_run.tiny_train(run)


def test_run_while_another_process_trains_there_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def begin_again(record: Step) -> None:
        with pytest.raises(InputError, match="another process"):
            tiny_run.tiny_train(folder)

    assert tiny_run.tiny_train(folder, on_step=[begin_again]).status == "finished"


def test_run_in_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")

    with pytest.raises(InputError, match=r"has files but no spec\.json"):
        tiny_run.tiny_train(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_run_in_a_folder_left_by_a_kill_before_the_first_update_starts(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / f"spec.json.{'0' * 32}.partial").write_text('{"fingerpr')

    tiny_run.tiny_train(tmp_path)

    assert_same_run(tmp_path, undisturbed)


def test_run_on_data_that_cannot_be_read_leaves_no_folder(tmp_path: Path) -> None:
    class Broken(tiny_run.Pictures):
        def __getitem__(self, index: int) -> Sample:
            raise InputError("a.jpg: cut off")

    with pytest.raises(InputError, match="cut off"):
        tiny_run.tiny_train(tmp_path / "run", dataset=Broken())

    assert not (tmp_path / "run").exists()


def test_run_on_slow_data_tells_how_long_each_update_waited_for_them(tmp_path: Path) -> None:
    class Slow(tiny_run.Pictures):
        def __getitem__(self, index: int) -> Sample:
            time.sleep(0.02)
            return super().__getitem__(index)

    records: list[Step] = []
    tiny_run.tiny_train(tmp_path / "run", dataset=Slow(), on_step=[records.append])

    batch_size = tiny_run.SPEC.schedule.batch_size
    for record in records[1:]:  # the first batch is read before the first update
        assert batch_size * 0.02 <= record.data_seconds < batch_size / record.images_per_second


def test_run_tells_the_processor_time_of_each_update_and_not_that_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "process_time", count(step=10.0).__next__)
    records: list[Step] = []

    tiny_run.tiny_train(tmp_path / "run", on_step=[records.append])

    assert [record.process_seconds for record in records] == [10.0] * 8


def test_run_that_diverges_names_the_step_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    text = tiny_run.tiny_text()
    poison = [lambda record: record.step == 4 and text.fill_(torch.nan)]

    with pytest.raises(DivergenceError, match="step 5"):
        tiny_run.tiny_train(tmp_path / "run", text=text, on_step=poison)

    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000003.pt"]
    assert [record.step for record in tiny_run.log_of(tmp_path / "run")] == [1, 2, 3, 4]


@pytest.mark.parametrize("stop_after", [1, 2], ids=["at the end", "when stopped"])
def test_run_whose_last_update_diverges_names_the_weight_and_writes_none(tmp_path: Path, stop_after: int) -> None:
    schedule = replace(tiny_run.SPEC.schedule, steps=stop_after, learning_rate=1e308, warmup_steps=0)
    spec = replace(tiny_run.SPEC, schedule=replace(schedule, num_microbatches=1))

    # The loss is that of the weights before the update, so no loss tells of this one.
    with pytest.raises(DivergenceError, match=r"step 1: \S+ holds NaN or infinity after it.*schedule\.learning_rate"):
        tiny_run.tiny_train(tmp_path / "run", spec=spec, stop=lambda: True)

    assert not list((tmp_path / "run").rglob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.pt"))


def test_run_learns(tmp_path: Path) -> None:
    spec = replace(tiny_run.SPEC, schedule=replace(tiny_run.SPEC.schedule, steps=60, learning_rate=0.1))
    tiny_run.tiny_train(tmp_path / "run", spec=spec)

    losses = [record.loss for record in tiny_run.log_of(tmp_path / "run")]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_run_folder_is_free_again_after_the_process_was_killed(tmp_path: Path) -> None:
    given = tiny_run.loop.TrainingInput(
        spec=tiny_run.SPEC, model=tiny_run.TinyNetwork(), text=tiny_run.tiny_text(), dataset=tiny_run.Pictures()
    )
    identity = tiny_run.loop.run_identity(given)
    child = os.fork()
    if child == 0:
        with open_run_folder(tmp_path / "run", identity):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    with open_run_folder(tmp_path / "run", identity) as folder:
        assert folder.path == tmp_path / "run"


def test_run_whose_weights_are_damaged_trains_them_again_from_its_last_checkpoint(
    undisturbed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = shutil.copytree(undisturbed, tmp_path / "run")
    content = bytearray((run / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "weights.safetensors").write_bytes(content)
    steps: list[int] = []

    result = tiny_run.tiny_train(run, on_step=[lambda step: steps.append(step.step)])

    assert (result.status, steps) == ("finished", [7, 8])
    assert (run / "weights.safetensors").read_bytes() == (undisturbed / "weights.safetensors").read_bytes()
    assert "weights.safetensors: damaged" in caplog.text


def test_run_whose_spec_is_no_text_is_refused_in_one_line(undisturbed: Path, tmp_path: Path) -> None:
    run = shutil.copytree(undisturbed, tmp_path / "run")
    (run / "spec.json").write_bytes(b'{"training": "\xff"}')

    with pytest.raises(InputError, match=r"spec\.json: not the spec\.json of a run"):
        tiny_run.tiny_train(run)
