"""A training as a file: --show-config prints it, --config reads it back to the same run."""

import json
from pathlib import Path

import pytest

from ovlab.cli import build_parser, main
from ovlab.commands.train import training_spec
from ovlab.specs.training import TrainingSpec

PLAIN = ["--data", "shapes-coco", "--preset", "shapes-vit-s", "--steps", "7", "--set", "model.prior_weight=adaptive"]
METHOD = ["--data", "shapes-coco", "--preset", "shapes-vit-s", "--method", "cat-seg", "--option", "dim=64"]


def spec_of(*options: str) -> TrainingSpec:
    return training_spec(build_parser().parse_args(["train", *options]))


def shown(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["train", *options, "--show-config"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("options", [PLAIN, METHOD], ids=["LoGoSeg", "method"])
def test_config_read_back_is_the_same_spec_and_shows_the_same_text(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(shown(capsys, *options))

    assert spec_of("--config", str(file)) == spec_of(*options)
    assert shown(capsys, "--config", str(file)) == file.read_text()


def test_set_changes_what_the_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(shown(capsys, *PLAIN))

    spec = spec_of("--config", str(file), "--set", "seed=3")

    assert (spec.seed, spec.schedule.steps) == (3, 7)


def test_number_that_yaml_reads_as_text_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("dataset: shapes-coco\nschedule:\n  learning_rate: 3e-3\n")

    assert spec_of("--config", str(file)).schedule.learning_rate == 0.003


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "no YAML"),
        ("- 1", "write `dataset: NAME`"),
        ("preset: tiny", "write `dataset: NAME`"),
        ("dataset: x\npreset: 3", "preset: "),
        ("dataset: x\npreset: tinny", "The nearest is 'tiny'"),
        ("dataset: x\nseeed: 3", "The nearest name is seed"),
        ("dataset: x\nschedule:\n  steps: many", "schedule.steps: 'many' is not allowed"),
        ("dataset: x\nschedule: 5", "this is a group of fields"),
    ],
)
def test_file_that_is_no_training_is_one_line_with_its_name(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)

    assert main(["train", "--config", str(file), "--out", str(tmp_path / "run")]) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"ovlab: {file}: ")
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [["--steps", "3"], ["--preset", "tiny"], ["--option", "dim=3"]])
def test_option_beside_a_file_that_says_it_is_refused(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("dataset: shapes-coco\n")

    assert main(["train", "--config", str(file), *option, "--out", str(tmp_path / "run")]) == 2

    assert f"{option[0]}: {file} says it" in capsys.readouterr().err


def test_dry_run_says_what_it_takes_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    command = ["train", *PLAIN, "--dry-run", "--loader-workers", "0", "--set", "schedule.batch_size=1"]

    assert main([*command, "--json"]) == 0
    needs = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    told = capsys.readouterr().out

    assert needs["num_weights"] > needs["num_learning"] > 100_000
    assert (needs["steps"], needs["batch_size"], needs["num_updates"]) == (7, 1, 3)
    assert needs["seconds"] == pytest.approx(7 / needs["images_per_second"])
    # More than the tokens of a view times its weights alone.
    assert needs["flops"] > 144 * needs["num_learning"]
    assert f"{needs['flops'] / 1e9:.3g} GFLOP an image" in told
    assert "7 updates of 1 images" in told
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
