"""The run of group_run.py by one process, and by several that divide each batch."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import group_run
from tiny_run import log_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    program = subprocess.run([sys.executable, group_run.__file__, str(folder)], capture_output=True, text=True)
    assert program.stdout.split() == ["0", "0", "0", str(int(signal.SIGKILL)), "0"], program.stderr
    return folder


def weights_of(run: Path) -> dict[str, Tensor]:
    return load_file(run / "weights.safetensors")


@pytest.mark.parametrize("size", ["2", "4"])
def test_group_run_has_the_loss_curve_and_the_weights_of_one_process(runs: Path, size: str) -> None:
    one, several = log_of(runs / "1"), log_of(runs / size)

    assert len(one) == len(several) == 50
    assert one[-1].loss < one[0].loss
    for ours, theirs in zip(one, several, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, rel=1e-5)
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-3)
    for name, weight in weights_of(runs / "1").items():
        torch.testing.assert_close(weights_of(runs / size)[name], weight, rtol=1e-3, atol=1e-4)


def test_group_run_that_was_killed_ends_with_the_bits_of_one_that_was_not(runs: Path) -> None:
    ours, theirs = weights_of(runs / "killed"), weights_of(runs / "4")

    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert log_of(runs / "killed") == log_of(runs / "4")
