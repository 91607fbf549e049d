"""`ovlab run` of a table whose learning rates another one chooses, with runs whose scores are drawn."""

import json
from pathlib import Path

import pytest

from drawn_scores import Drawn, Gain
from ovlab.cli import main
from ovlab.commands import run
from ovlab.specs.method import method_name
from ovlab.store.store import open_store

RATES = """\
from ovlab.specs.table import Column, Row, Table, Variation

TABLE = Table(
    name="rates",
    title="Rates",
    columns=(Column(title="Held out", benchmark="coco-stuff", split="train-held-out"),),
    rows=tuple(
        Row(
            key=f"{method}-{rate:g}",
            label="",
            run=Variation(method=method, split="train-fit", scaled={"learning_rate": rate, "steps": 0.5}),
        )
        for method in ("san", "cat-seg")
        for rate in (1.0, 3.0)
    ),
)
"""
MINE = """\
from ovlab.specs.table import Claim, Column, Row, Table, Variation

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(
        Row(key="ours", label="ours", run=Variation()),
        Row(key="rival", label="rival", run=Variation(method="san", rate_by="./rates.py")),
        Row(key="not-asked", label="not asked", run=Variation(backbone="vit-l")),
    ),
    claims=(Claim(text="ours is better", where="1", better="ours", worse=("rival",)),),
)
"""
GAINS = {
    "san-1": Gain(0.0, 0.0),
    "san-3": Gain(0.1, 0.0),
    "ours": Gain(0.2, 0.0001),
    "rival": Gain(0.0, 0.0001),
    "not-asked": Gain(0.0, 0.0),
}
COMMON = ["./mine.py", "--clip", "shapes-vit-s=none", "--clip", "shapes-vit-l=none"]
RUN = ["run", *COMMON, "--device", "cpu", "--runs-at-once", "1", "--no-tracking"]
CANDIDATES = ["rates san-1, seed 0", "rates san-3, seed 0"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with mine.py and rates.py."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "rates.py").write_text(RATES)
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    executor = Drawn(GAINS)
    monkeypatch.setattr(run, "executor_of_runs", lambda *_: executor)
    return executor


def plan(*options: str) -> list[str]:
    return ["plan", *COMMON, *options, "--json"]


def test_plan_has_the_runs_that_choose_a_rate_and_says_which_row_waits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(plan()) == 0

    told = json.loads(capsys.readouterr().out)
    rows = [cell["row"] for one in told["runs"] for part in one["evaluations"] for cell in part["cells"]]
    assert rows == ["san-1", "san-3", "ours", "not-asked"]
    assert told["waiting"] == ["mine, row 'rival'"]
    assert told["tables"] == ["mine"]


def test_run_makes_the_candidates_first_and_the_row_at_the_rate_of_the_best(
    drawn: Drawn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(RUN) == 0

    assert drawn.made == [*CANDIDATES, "mine ours, seed 0", "mine not-asked, seed 0", "mine rival, seed 0"]
    assert "Planned once their learning rates are chosen by these runs: mine, row 'rival'." in capsys.readouterr().out
    specs = [record.training.spec for record in open_store("ovlab-store").trainings()]
    rivals = [spec for spec in specs if method_name(spec.model) == "san" and spec.split == "train"]
    assert [spec.schedule.learning_rate for spec in rivals] == [0.009]
    main(plan())
    assert json.loads(capsys.readouterr().out)["waiting"] == []


def test_run_until_decided_takes_no_look_before_the_rates_are_chosen(drawn: Drawn) -> None:
    assert main([*RUN, "--until-decided", "--max-seeds", "3"]) == 0

    assert drawn.made[:2] == CANDIDATES
    assert [name for name in drawn.made if name.startswith("mine rival")] == [
        f"mine rival, seed {seed}" for seed in range(3)
    ]
    looks = json.loads(Path("ovlab-store/looks/shapes/mine.json").read_text())["record"]["looks"]
    assert [(look["num_seeds"], look["verdict"]) for look in looks] == [(3, "yes")]


def test_run_of_which_a_candidate_fails_ends_and_says_so(drawn: Drawn, capsys: pytest.CaptureFixture[str]) -> None:
    drawn.failing = ("san-3",)

    assert main(RUN) == 1

    assert not [name for name in drawn.made if name.startswith("mine rival")]
    assert "failed: rates san-3, seed 0: the loss is nan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(["ours"], ["ours"]), (["*a*"], ["san-1", "san-3", "not-asked"]), (["o*", "not-asked"], ["ours", "not-asked"])],
    ids=str,
)
def test_rows_keeps_to_what_is_named(rows: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(plan("--rows", *rows)) == 0

    told = json.loads(capsys.readouterr().out)
    assert [cell["row"] for one in told["runs"] for part in one["evaluations"] for cell in part["cells"]] == expected


def test_rows_that_there_are_not_are_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(plan("--rows", "our?", "theirs")) == 2

    expected = "ovlab: --rows theirs: no row to be measured has such a key; there are ours, rival, not-asked.\n"
    assert capsys.readouterr().err == expected


def test_row_whose_rates_are_tried_of_other_backbones_only_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mine.py").write_text(MINE.replace('method="san"', 'method="san", backbone="vit-l"'))

    assert main(plan()) == 2

    assert "row 'rival': ./rates.py tries no learning rate of its method and backbone" in capsys.readouterr().err
