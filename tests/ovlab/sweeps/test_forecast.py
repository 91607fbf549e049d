"""ovlab.sweeps.forecast: the time and the cost of a sweep on machines that are not there."""

import json
from pathlib import Path

import pytest

from ovlab.cli import main
from ovlab.specs.errors import InputError
from ovlab.sweeps.forecast import Machines, parse_machines

TABLE = Path(__file__).parents[2] / "programs" / "group_table.py"
LIMITS = ["--clip", "shapes-vit-s=none", "--limit-steps", "3", "--limit-images", "4"]


@pytest.mark.parametrize(
    ("text", "machines"),
    [
        ("2 x 8 H200", Machines(2, 8, "H200")),
        ("4x1 RTX 4090", Machines(4, 1, "RTX 4090")),
        ("8", Machines(1, 8, "GPU")),
    ],
)
def test_machines_are_read_as_one_writes_them(text: str, machines: Machines) -> None:
    assert parse_machines(text) == machines


@pytest.mark.parametrize("text", ["H200", "0 x 8 H200", "2 x 0", "two"])
def test_machines_without_a_number_of_gpus_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="2 x 8 H200"):
        parse_machines(text)


def plan(folder: Path, *options: str) -> int:
    return main(["plan", str(TABLE), *LIMITS, "--store", str(folder / "store"), *options])


def test_declared_speeds_give_time_gpu_hours_and_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Three runs of 3 updates and 2 x 4 images: 3 * 6 + 8 * 2 = 34 s for one process, 17 s for two; two at a time.
    speeds = ["--update-seconds", "6", "--image-seconds", "2", "--processes-per-run", "2"]

    assert plan(tmp_path, "--on", "2 x 2 H200", *speeds, "--price", "9", "--json") == 0

    found = json.loads(capsys.readouterr().out)["forecast"]
    assert found["seconds"] == pytest.approx(34.0)
    assert found["held_gpu_seconds"] == pytest.approx(3 * 17 * 2)
    assert found["gpu_seconds"] == pytest.approx(4 * 34)
    assert found["idle"] == pytest.approx(0.25)
    assert found["price"] == pytest.approx(9 * 4 * 34 / 3600)
    assert found["devices"] == ["a declared speed"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--on", "1 x 2 H200"], "declare --update-seconds and --image-seconds"),
        (["--on", "1 x 2 H200", "--processes-per-run", "4"], "a run needs more GPUs than these"),
        (["--on", "1 x 8 H200", "--processes-per-run", "4", "--max-gpus", "2"], "--max-gpus 2: a run needs 4"),
        (["--price", "3"], "--price: say with --on"),
    ],
)
def test_forecast_that_cannot_be_made_says_what_is_missing(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, *options) == 2

    assert reason in capsys.readouterr().err
