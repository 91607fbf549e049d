"""`ovlab bench gpu` by its parts, on a CPU and with tiny sizes: no GPU has to be there."""

import argparse

import numpy as np
import pytest
import torch

from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.benchmarks import gpu_speed
from ovlab.benchmarks.scan_baselines import sequential_scan
from ovlab.benchmarks.scan_speed import scan_inputs
from ovlab.cli import main

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"_TRAINED_CLASSES": 3, "_PHOTOGRAPH": (24, 32), "_PRODUCT_SIDE": 16, "_CALLS": 1}
    for name, value in {**sizes, "_SCAN": {"dim": 4, "state": 3, "length": 7}}.items():
        monkeypatch.setattr(gpu_speed, name, value)


def arguments(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    gpu_speed.add_arguments(parser)
    return parser.parse_args(["--presets", "tiny", "--batch-sizes", "2", "--num-classes", "4", *options])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_it_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "CUDA device" in line


def test_rows_are_those_of_the_cases_with_their_figures() -> None:
    rows = gpu_speed.measured_rows(arguments(), CPU)

    assert [(row["what"], row["precision"]) for row in rows[:4]] == [
        ("tiny, training, batch 2", "float32"),
        ("tiny, training, batch 2", "bfloat16"),
        ("tiny, evaluation, 4 classes", "float32"),
        ("selective scan, ours", "float32"),
    ]
    for row in rows[:3]:
        assert row["images/s"] == pytest.approx((2 if "training" in row["what"] else 1) * 1e3 / row["ms"])
    assert [row["of peak"] is not None for row in rows[:4]] == [True, True, False, False]


def test_what_is_late_or_does_not_fit_stands_without_figures() -> None:
    def too_large() -> None:
        raise torch.OutOfMemoryError

    case = gpu_speed.Case("large", lambda: too_large, 1)

    for is_late in (True, False):
        row = gpu_speed._row(case, 1.0, CPU, is_late=is_late)
        assert (row["what"], {row[name] for name in ("ms", "images/s", "of peak", "peak MB")}) == ("large", {None})


def test_flops_of_a_training_grow_with_its_batch() -> None:
    model = LoGoSeg(tiny())
    one, four = (gpu_speed.training_case(model, "", size, "float32").flops for size in (1, 4))

    assert four() == 4 * one() > 0
    assert all(weight.grad is None for weight in model.parameters())


def test_training_updates_the_weights() -> None:
    model = LoGoSeg(tiny())
    before = model.query_projection.weight.detach().clone()

    gpu_speed.training_case(model, "", 2, "float32").prepare()()

    assert not torch.equal(model.query_projection.weight, before)


def test_evaluation_gives_every_pixel_of_the_photograph_a_class() -> None:
    labels = gpu_speed.evaluation_case(LoGoSeg(tiny()).eval(), "", 4).prepare()()

    assert isinstance(labels, np.ndarray)
    assert labels.shape == (24, 32)
    assert labels.max() < 4


def test_scan_of_ours_is_the_sequential_one() -> None:
    inputs = scan_inputs(dim=4, state=3, length=37)

    torch.testing.assert_close(
        gpu_speed.ours_in_torch(*inputs).double(), sequential_scan(*inputs), rtol=1e-5, atol=1e-5
    )
