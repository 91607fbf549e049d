"""`ovlab plan` and `ovlab run` as a person calls them, on a table of one's own with models of a second."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from hearing import Hearing
from ovlab.cli import build_parser, main
from ovlab.commands.plan import planned
from ovlab.files.lock import locked
from ovlab.runs import make
from ovlab.runs.alone import lock_file
from ovlab.runs.context import RunContext
from ovlab.store.store import open_store

# Two rows that are one run, and one whose loss is no number after the first update unless it is mended.
TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}
SAME = {**SMALL, "prior_weight": 1.0}
ONE = {"batch_size": 1}

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"), Column(title="PAS-20b", benchmark="pas-20b")),
    rows=(
        Row(key="broken", label="", run=Variation(training_set="pc-59", model=SMALL, schedule={**ONE, **BROKEN})),
        Row(key="full", label="", run=Variation(training_set="pc-59", model=SMALL, schedule=ONE)),
        Row(key="same", label="", run=Variation(training_set="pc-59", model=SAME, schedule=ONE)),
    ),
)
"""
DIVERGES = '{"learning_rate": 1e30, "image_encoder_scale": 1.0, "clip_norm": None}'
OPTIONS = ["--clip", "shapes-vit-s=none", "--limit-steps", "2", "--limit-images", "2"]
RUN = ["run", "./mine.py", *OPTIONS, "--device", "cpu", "--loader-workers", "0", "--runs-at-once", "1", "--no-tracking"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with mine.py."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TABLE.replace("BROKEN", DIVERGES))
    return tmp_path


def made(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict]:
    code = main([*RUN, "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def statuses(plan: dict) -> list[str]:
    return [part["status"] for run in plan["runs"] for part in (run["training"], *run["evaluations"])]


def test_run_one_failure_stops_no_other_and_is_named_at_the_end(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, end = made(capsys)

    assert code == 1
    assert statuses(end) == ["missing"] * 3 + ["done"] * 3
    (failure,) = end["failures"]
    assert failure["run"] == "mine broken, seed 0"
    assert "step 2: the loss is nan" in failure["cause"]
    cells = end["runs"][1]["evaluations"][0]["cells"]
    assert [cell["row"] for cell in cells] == ["full", "same"]

    # Mended, only the mended run is made; then nothing is.
    (place / "mine.py").write_text(TABLE.replace("BROKEN", "{}"))
    code, end = made(capsys)
    assert (code, statuses(end), end["failures"]) == (0, ["done"] * 3, [])
    assert len(list(open_store("ovlab-store").trainings())) == 1

    assert main(["plan", "./mine.py", *OPTIONS, "--evaluations"]) == 0
    assert "1 training: 1 done; 2 evaluations: 2 done." in capsys.readouterr().out


def test_run_interrupted_says_so_and_the_same_call_continues(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "mine.py").write_text(TABLE.replace("BROKEN", "{}"))
    ensure_training = make.ensure_training

    def interrupted(training: object, context: RunContext, executor: object) -> object:
        signal_once = Hearing(on_step=lambda step: step.step == 1 and os.kill(os.getpid(), signal.SIGINT))
        return ensure_training(training, context.heard_by(signal_once), executor)

    monkeypatch.setattr(make, "ensure_training", interrupted)
    assert main(RUN) == 1
    assert "stopped after 1 steps; the same command continues" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(place)
    main(["plan", "./mine.py", *OPTIONS, "--json"])
    assert json.loads(capsys.readouterr().out)["runs"][0]["training"]["step"] == 1

    code, end = made(capsys)

    assert (code, statuses(end)) == (0, ["done"] * 3)


def test_run_with_nothing_that_can_be_made_is_a_wrong_call(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "table1", "--suite", "paper", "--data", "coco-stuff=/nowhere"]) == 2
    assert capsys.readouterr().err.startswith("ovlab: ")
    assert list(place.iterdir()) == [place / "mine.py"]


def test_plan_names_seeds_that_are_no_numbers(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["plan", "./mine.py", "--seeds", "0,one"])

    assert "'0,one': write whole numbers with commas" in capsys.readouterr().err


def test_run_with_everything_done_starts_no_ray_and_tells_nobody(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "mine.py").write_text(TABLE.replace("BROKEN", "{}"))
    assert made(capsys)[0] == 0
    monkeypatch.setitem(sys.modules, "ovlab.ray.cluster", None)
    monkeypatch.setitem(sys.modules, "ovlab.tracking.publisher", None)

    assert main(["run", "./mine.py", *OPTIONS, "--runs-at-once", "2"]) == 0

    assert not (place / "ovlab-store" / "tracking").exists()


@pytest.mark.parametrize("given", [("--workers", "2"), ("--workers=2",), ("--workers",)])
def test_run_with_the_old_name_of_runs_at_once_says_the_new_one_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["run", "./mine.py", *given])

    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("ovlab: --workers: ")
    assert "--runs-at-once N" in said
    assert said.count("\n") == 1


def test_run_of_a_table_that_another_process_is_making_is_refused_and_leaves_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(build_parser().parse_args(RUN))[0]
    with locked(lock_file(open_store(), plan.sweep.run), "mine"):
        assert main([*RUN, "--workdir", "elsewhere"]) == 2

    assert "another process is at it" in capsys.readouterr().err
    assert [path.name for path in (place / "ovlab-store").iterdir()] == ["locks"]
    assert not (place / "elsewhere").exists()
