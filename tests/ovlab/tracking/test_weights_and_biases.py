"""ovlab.tracking.weights_and_biases, offline: what would be sent lies in the folder of the run."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("wandb", reason="the extra wandb is not installed")

import wandb

from ovlab.specs.errors import InputError
from ovlab.specs.events import Begun, RunHeader, Step, Validated
from ovlab.tracking.weights_and_biases import WeightsAndBiases

BEGUN = Begun(work="training", fingerprint="a" * 64, device="cpu", num_gpus=0, total=2)
HEADER = RunHeader(run="a" * 64, name="camvid, seed 0", experiment="ovlab", params={"model.prior_weight": "0.5"})


@pytest.fixture(autouse=True)
def environment_is_read_anew() -> Iterator[None]:
    yield
    wandb.teardown()


def test_run_is_told_under_its_fingerprint_with_its_params_and_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    observer = WeightsAndBiases(tmp_path)
    observer.on_start(HEADER)
    observer.on_begin(BEGUN)
    observer.on_begin(BEGUN)  # again, when a worker was lost
    for number, loss in ((1, 7.25), (2, 6.5)):
        observer.on_step(Step(step=number, loss=loss, learning_rate=0.1, grad_norm=1.0, images_per_second=2.0))
    figures = {"miou": 0.125}
    observer.on_validation(Validated(step=2, benchmark="b", split="val", num_images=3, figures=figures))
    observer.on_end("FINISHED", "")

    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    content = file.read_bytes()
    assert file.stem == f"run-{'a' * 64}"
    assert b"camvid, seed 0" in content
    assert b"model.prior_weight" in content
    for point in (rb"train/loss.{1,4}7\.25", rb"train/loss.{1,4}6\.5", rb"validation/miou.{1,4}0\.125"):
        assert re.search(point, content, re.DOTALL)


def test_server_that_wants_a_key_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "short")
    observer = WeightsAndBiases(tmp_path)
    observer.on_start(HEADER)

    with pytest.raises(InputError, match=r"--track wandb: .*WANDB_MODE=offline") as refused:
        observer.on_begin(BEGUN)

    assert "\n" not in str(refused.value)
