"""`ovlab bench` refuses a number that is none of sizes, repeats or threads, before anything is measured."""

import pytest

from ovlab.cli import main


@pytest.mark.parametrize(
    "command",
    [
        "scan --lengths 0",
        "scan --threads 0",
        "scan --dim -1",
        "scan --repeats 0",
        "head --repeats 0",
        "head --class-cap -1",
        "head --num-classes 20 0",
        "postprocess --classes 0",
        "postprocess --threads 0",
        "postprocess --repeats 0",
        "evaluation --images 0",
        "evaluation --actors 1 0",
        "data --workers 0",
    ],
)
def test_bench_number_below_one_is_refused_by_its_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, option, *_, number = command.split()

    assert main(["bench", *command.split()]) == 2

    assert capsys.readouterr().err == f"ovlab: bench {name}: {option} must be at least 1, got {number}.\n"
