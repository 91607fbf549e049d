"""The contenders of `ovlab bench scan` compute the same thing, and what was not measured has no number."""

import argparse

import pytest
import torch

from logoseg.ops.selective_scan import selective_scan
from ovlab.benchmarks import scan_speed as scan
from ovlab.benchmarks.scan_baselines import mambapy_scan, materialising_scan, sequential_scan
from ovlab.specs.errors import InputError


def arguments(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    scan.add_arguments(parser)
    return parser.parse_args(["--dim", "4", "--state", "3", "--repeats", "2", *options])


@pytest.mark.parametrize("name", sorted(scan.BACKENDS))
@pytest.mark.parametrize("length", [1, 37])
def test_backends_agree_with_sequential_scan(name: str, length: int) -> None:
    inputs = scan.scan_inputs(dim=4, state=3, length=length)

    with torch.no_grad():
        y = scan.BACKENDS[name](*inputs)

    torch.testing.assert_close(y.double(), sequential_scan(*inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("baseline", [materialising_scan, mambapy_scan])
def test_baselines_gradients_agree_with_ours(baseline) -> None:
    inputs = scan.scan_inputs(dim=4, state=3, length=37)

    theirs = torch.autograd.grad(baseline(*inputs).square().sum(), inputs)
    ours = torch.autograd.grad(selective_scan(*inputs, delta_softplus=True).square().sum(), inputs)

    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)


def test_run_gives_one_row_a_length_and_backend_with_ours_as_the_unit() -> None:
    report = scan.run(arguments("--lengths", "8", "16"))

    assert [(row["backend"], row["L"]) for row in report.rows] == [(b, n) for n in (8, 16) for b in scan.BACKENDS]
    for row in report.rows:
        assert row["max error / max"] < 1e-5
        assert row["x ours"] > 0
        if row["backend"] == scan.OURS:
            assert row["x ours"] == row["x ours (both)"] == 1.0


def test_run_quadratic_backward_left_out_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_QUADRATIC_LENGTH", 8)

    left_out = scan.run(arguments("--lengths", "9")).rows[1]
    asked_for = scan.run(arguments("--lengths", "9", "--all-backwards")).rows[1]

    assert left_out["backend"] == scan.MATERIALISING
    assert left_out["forward s"] is not None
    assert [left_out[key] for key in ("forward + backward s", "x ours (both)", "peak MB (both)")] == [None] * 3
    assert asked_for["forward + backward s"] > 0


def test_run_without_mambapy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(InputError, match="pip install mambapy"):
        scan.run(arguments())
