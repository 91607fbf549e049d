"""`ovlab run --until-decided` as a person calls it, with runs whose scores are drawn instead of trained."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawn_scores import Drawn, Gain
from ovlab.cli import main
from ovlab.commands import run, until_decided

# Each claim meets its end at another place: at the first look, at the second, never.
TABLE = """\
from ovlab.specs.table import Claim, Column, Row, Table, Variation


def row(key, weight):
    return Row(key=key, label=key, run=Variation(training_set="pc-59", model={"prior_weight": weight}))


TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(row("clear", 0.1), row("base", 0.2), row("loud", 0.3), row("other", 0.4), row("unclaimed", 0.5)),
    claims=(
        Claim(text="clear is better", where="1", better="clear", worse=("base",)),
        Claim(text="loud is better", where="2", better="loud", worse=("base",)),
        Claim(text="other is better", where="3", better="other", worse=("base",)),
    ),
)
"""
GAINS = {
    "clear": Gain(0.05, 0.0001),
    "base": Gain(0.0, 0.0001),
    "loud": Gain(0.0, 0.03),
    "other": Gain(0.01, 0.003),
    "unclaimed": Gain(0.0, 0.0001),
}
PLAIN = ["run", "./mine.py", "--clip", "shapes-vit-s=none", "--device", "cpu", "--runs-at-once", "1", "--no-tracking"]
RUN = [*PLAIN, "--until-decided", "--max-seeds", "5"]
FIRST = [f"mine {row}, seed {seed}" for seed in range(3) for row in ("clear", "base", "loud", "other")]
SECOND = [f"mine {row}, seed {seed}" for seed in (3, 4) for row in ("base", "other")]


class Killed(BaseException):
    """What nobody expects."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with mine.py."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TABLE)
    return tmp_path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Drawn]]:
    """The executor of the next commands."""

    def use(**options: object) -> Drawn:
        executor = Drawn(GAINS, **options)
        monkeypatch.setattr(run, "executor_of_runs", lambda *_: executor)
        return executor

    return use


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the command has come to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.chdir(folder)
        patch.setattr(run, "executor_of_runs", lambda *_: Drawn(GAINS))
        (folder / "mine.py").write_text(TABLE)
        assert main(RUN) == 0
    return folder / "ovlab-store"


@pytest.fixture
def ended(undisturbed: Path, place: Path, drawn: Callable[..., Drawn]) -> Drawn:
    """The working directory has such a store; the executor of what comes then."""
    shutil.copytree(undisturbed, place / "ovlab-store")
    return drawn()


def looks(store: Path = Path("ovlab-store")) -> dict:
    return json.loads((store / "looks/shapes/mine.json").read_text())["record"]


def verdicts() -> list[tuple[int, int, str]]:
    return [(look["num_seeds"], look["claim"], look["verdict"]) for look in looks()["looks"]]


def test_each_claim_gets_the_seeds_that_it_takes(
    drawn: Callable[..., Drawn], capsys: pytest.CaptureFixture[str]
) -> None:
    executor = drawn()

    assert main(RUN) == 0

    told = capsys.readouterr()
    assert sorted(executor.made[:13]) == sorted([*FIRST, "mine unclaimed, seed 0"])
    assert sorted(executor.made[13:]) == sorted(SECOND)
    assert verdicts() == [(3, 0, "yes"), (3, 1, "undecided"), (3, 2, "undecided"), (5, 2, "yes")]
    assert "mine: look 1 of 2, at 3 seeds of each row: 0 of 3 claims decided, 3 open.\n" in told.err
    assert "mine: look 2 of 2, at 5 seeds of each row: 1 of 3 claims decided, 1 futile, 1 open.\n" in told.err
    assert told.out == "mine: 2 of 3 claims decided, 1 futile.\n  loud is better: futile\n"


def test_look_takes_the_first_seeds_of_each_row_however_many_there_are(
    drawn: Callable[..., Drawn], undisturbed: Path
) -> None:
    executor = drawn()
    assert main([*PLAIN, "--seeds", "7,0,4,1,3"]) == 0

    assert main(RUN) == 0

    assert looks() == looks(undisturbed)
    assert executor.made[25:] == [f"mine {row}, seed 2" for row in ("clear", "base", "loud", "other")]


@pytest.mark.parametrize("runs_before", [5, 15])
def test_command_killed_and_given_again_ends_as_if_nothing_had_happened(
    drawn: Callable[..., Drawn], undisturbed: Path, runs_before: int
) -> None:
    calls = iter(range(runs_before))

    def kill() -> None:
        if next(calls, None) is None:
            raise Killed

    disturbed = drawn(happens=kill)
    with pytest.raises(Killed):
        main(RUN)
    again = drawn()

    # The plan is kept: what was planned need not be given again.
    assert main([argument for argument in RUN if argument not in ("--max-seeds", "5")]) == 0

    assert looks() == looks(undisturbed)
    assert len(disturbed.made) == runs_before
    assert len(disturbed.made) + len(again.made) == 17


def test_command_killed_before_its_look_was_kept_takes_it_again(
    drawn: Callable[..., Drawn], undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn()

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ovlab.report.looks.take_look", kill)
        with pytest.raises(Killed):
            main(RUN)
    assert looks()["looks"] == []

    assert main(RUN) == 0

    assert looks() == looks(undisturbed)


def test_budget_that_ends_in_the_middle_says_in_one_line_what_is_undecided_and_what_it_takes(
    drawn: Callable[..., Drawn], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = drawn()
    # An hour goes by with each run.
    monkeypatch.setattr(until_decided, "monotonic", lambda: 3600 * len(executor.made))

    assert main([*RUN, "--budget-hours", "14.5"]) == 1

    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ovlab: ")]
    assert "the budget of 14.5 hours is spent: mine, before look 2 of 2, at 5 seeds of each row, with " in said
    assert "with other is better undecided. What is next takes 2 more runs, " in said
    assert said.endswith("; the same command continues.")
    # Two of four runs of the second look.
    assert len(executor.made) == 15
    assert main([*RUN, "--budget-hours", "14.5"]) == 0
    assert len(executor.made) == 17
    assert verdicts()[-1] == (5, 2, "yes")


def test_claim_of_which_a_run_fails_keeps_no_other_from_its_looks_and_is_looked_at_once_it_is_mended(
    drawn: Callable[..., Drawn], capsys: pytest.CaptureFixture[str]
) -> None:
    executor = drawn(failing={"clear", "unclaimed"})

    assert main(RUN) == 1

    told = capsys.readouterr()
    assert verdicts() == [(3, 1, "undecided"), (3, 2, "undecided"), (5, 2, "yes")]
    assert told.err.count("failed: mine clear, seed ") == 3
    assert "  clear is better: open\n" in told.out
    assert not any("clear" in name for name in executor.made)

    mended = drawn()
    assert main(RUN) == 0
    assert sorted(mended.made) == [*(f"mine clear, seed {seed}" for seed in range(3)), "mine unclaimed, seed 0"]
    assert verdicts()[3:] == [(3, 0, "yes")]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--until-decided", "--limit-steps", "2"], "--limit-steps: what is limited decides no claim"),
        (["--until-decided", "--limit-images", "2"], "--limit-images: what is limited decides no claim"),
        (["--until-decided", "--seeds", "0,1"], "--seeds: --until-decided says itself which seeds"),
        (["--until-decided", "--search", "asha"], "--search: a claim needs its runs whole"),
        (["--until-decided", "--max-seeds", "1"], "--max-seeds must be in 2 .. 1000, got 1"),
        (["--max-seeds", "5"], "--max-seeds: is for --until-decided"),
        (["--budget-hours", "5"], "--budget-hours: is for --until-decided"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(
    options: list[str], named: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*PLAIN, *options]) == 2

    said = capsys.readouterr().err
    assert said.startswith("ovlab: ")
    assert named in said
    assert said.count("\n") == 1
    assert not (place / "ovlab-store").exists()


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "six"])
def test_budget_that_is_no_number_of_hours_is_refused(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*RUN, "--budget-hours", hours])

    assert f"{hours!r}: a number of hours above 0" in capsys.readouterr().err


def test_other_plan_than_that_of_the_looks_is_refused_and_changes_nothing(
    ended: Drawn, capsys: pytest.CaptureFixture[str]
) -> None:
    before = looks()

    for number in ("3", "20"):
        assert main([*PLAIN, "--until-decided", "--max-seeds", number]) == 2
        assert "mine was looked at after 3 and 5 seeds by a plan for 5" in capsys.readouterr().err

    assert looks() == before
    assert ended.made == []


def test_damaged_record_of_looks_is_refused_by_run_and_report(
    ended: Drawn, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place / "ovlab-store/looks/shapes/mine.json"
    whole = looks()
    file.write_text(file.read_text().replace('"verdict": "undecided"', '"verdict": "yes"'))

    for command in (RUN, ["report", "./mine.py"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "mine.json: damaged" in said
        assert "Remove it; the same `ovlab run mine --until-decided`" in said

    file.unlink()
    assert main(RUN) == 0
    assert looks() == whole


def test_claims_that_are_changed_after_their_looks_are_refused(
    ended: Drawn, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mine.py").write_text(TABLE.replace('better="loud", worse=("base",)', 'better="base", worse=("loud",)'))

    for command in (RUN, ["report", "./mine.py"]):
        assert main(command) == 2
        assert "mine: other claims, rows or another margin were looked at" in capsys.readouterr().err


def test_table_without_a_claim_that_can_be_tested_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.py").write_text(TABLE.replace("claims=(", "claims=() and ("))

    assert main(RUN) == 2
    assert "mine: has no claim whose rows can be measured in the suite shapes" in capsys.readouterr().err
    assert not (place / "ovlab-store").exists()


def test_end_as_json_has_every_look_and_nothing_is_left_to_make(
    ended: Drawn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "--json"]) == 0

    end = json.loads(capsys.readouterr().out)
    assert ended.made == []
    assert [(claim["state"], len(claim["looks"])) for claim in end["claims"]] == [
        ("decided", 1),
        ("futile", 1),
        ("decided", 2),
    ]
    assert len(end["runs"]) == 17


def test_report_shows_the_verdicts_and_looks_of_the_record(
    ended: Drawn, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A plain test of more seeds would find what the looks left undecided.
    assert main([*PLAIN, "--seeds", "0,1,2,3,4,5,6,7,8,9"]) == 0
    capsys.readouterr()

    assert main(["report", "./mine.py"]) == 0

    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith("| loud is better")]
    assert "| undecided |" in rows[0]
    assert "| futile: all planned seeds decide it in " in rows[0]
    assert "looks planned at 3 and 5 seeds of each row" in said
    assert main(["report", "./mine.py", "--out", "report"]) == 0
    assert len((place / "report/tables/mine-looks.csv").read_text().splitlines()) == 5
    page = (place / "report/index.html").read_text()
    assert page.count('<figure class="panel looks">') == 3
    for suffix in ("md", "tex"):
        assert "looks planned at 3 and 5 seeds" in (place / f"report/tables/mine.{suffix}").read_text()
