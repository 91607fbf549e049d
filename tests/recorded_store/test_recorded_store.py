"""A store that an earlier version made is this version's: its runs are done, its tables are the same to the digit.

store/ was made at commit f981a89, in a folder with a copy of study.py, by

    ovlab run first_run --limit-steps 4 --limit-images 6 --checkpoint-every 2   (killed once before its first update)
    ovlab run study.py --limit-steps 2 --limit-images 6
    ovlab evaluate clip:shapes-vit-s --data shapes-pas-20 --limit 6

each with --suite shapes --workers 1 --no-tracking where it has them. To be small it lacks the weights, and the pictures
of all evaluations but one. In the records, host, system and devices of the provenance were replaced by "host", "system"
and "cpu", and the records sealed anew by `ovlab.results.record.pack_record`. expected/ is what `ovlab report` and
`ovlab compare --json` of that commit print of it; but those runs are limited, which reports have said since: in
captions, footnotes and two columns of the CSV, and by no mark and no verdict. Since then claims have other columns, and
p-values are those of the one test of seeds and images. Their figures are as they were.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from ovlab.cli import main
from ovlab.specs.resolved import ResolvedTraining

HERE = Path(__file__).parent
TABLES = {"first_run": ("first_run", 4), "study": (str(HERE / "study.py"), 2)}
# λ = 1 and λ = 0 of the study, seed 0.
PRIOR, NO_PRIOR = "060ff9963878", "ff0567b4f9d0"

Ovlab = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return shutil.copytree(HERE / "store", tmp_path / "store")


@pytest.fixture
def as_first_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today's specs with the versions that made the store: later ones end in other last digits, and are other runs."""
    for module in ("ovlab.runs.identity", "ovlab.sweeps.planner"):
        monkeypatch.setattr(f"{module}.ResolvedTraining", partial(ResolvedTraining, training_version=1))
    for module in ("identity", "evaluations"):
        monkeypatch.setattr(f"ovlab.runs.{module}.PREDICTION_VERSION", 1)


@pytest.fixture
def ovlab(store: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Ovlab:
    """Run a command on the store: it ends well, names nothing as damaged, and gives what is printed."""

    def run(*arguments: str | Path) -> str:
        assert main([*map(str, arguments), "--store", str(store)]) == 0
        assert caplog.messages == []
        return capsys.readouterr().out

    return run


@pytest.mark.usefixtures("as_first_version")
@pytest.mark.parametrize("table", TABLES)
def test_runs_of_the_store_are_planned_as_done(ovlab: Ovlab, table: str) -> None:
    plan = json.loads(ovlab("plan", *limited(table), "--json"))

    assert len(plan["runs"]) == {"first_run": 1, "study": 9}[table]
    for run in plan["runs"]:
        assert run["training"]["status"] == "done"
        assert {evaluation["status"] for evaluation in run["evaluations"]} == {"done"}


@pytest.mark.usefixtures("as_first_version")
@pytest.mark.parametrize("table", TABLES)
def test_runs_of_the_store_are_not_made_again(ovlab: Ovlab, store: Path, tmp_path: Path, table: str) -> None:
    before = contents(store)

    ovlab("run", *limited(table), "--runs-at-once", "1", "--workdir", tmp_path / "work")

    assert contents(store) == before
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("style", "suffix"), [("markdown", ".md"), ("csv", ".csv")])
@pytest.mark.parametrize("table", TABLES)
def test_tables_of_the_store_are_the_same_to_the_digit(ovlab: Ovlab, table: str, style: str, suffix: str) -> None:
    expected = (HERE / "expected" / f"{table}{suffix}").read_text(encoding="utf-8")

    assert ovlab("report", *limited(table), "--format", style) == expected


def test_runs_of_the_store_compare_as_they_did(ovlab: Ovlab) -> None:
    expected = (HERE / "expected" / "compare.json").read_text(encoding="utf-8")

    found = ovlab("compare", PRIOR, NO_PRIOR, "--resamples", "500", "--json")

    # That commit summed anew what the records hold, and missed it by the last bit.
    one, other = (json.loads(text, parse_float=lambda number: round(float(number), 14)) for text in (expected, found))
    assert one == other


def test_report_of_the_store_has_the_loss_of_every_update(ovlab: Ovlab, store: Path, tmp_path: Path) -> None:
    logs = {path.parent.name: path.read_text().splitlines() for path in store.glob("trainings/*/steps.jsonl")}

    ovlab("report", *limited("study"), "--out", tmp_path / "report")

    assert sorted(len(lines) for lines in logs.values()) == [2] * 9 + [4]
    for training, lines in logs.items():
        page = (tmp_path / "report" / "runs" / f"{training[:12]}.html").read_text(encoding="utf-8")
        losses = [json.loads(line)["loss"] for line in lines]
        assert f"Training loss over update: from {losses[0]:.4g} to {losses[-1]:.4g}" in page
        assert shape(drawn(page)) == pytest.approx(shape(losses), abs=2e-3)


def test_report_of_the_store_shows_its_pictures(ovlab: Ovlab, store: Path, tmp_path: Path) -> None:
    ovlab("report", *limited("first_run"), "--out", tmp_path / "report")

    shown, kept = (sorted(path.name for path in place.rglob("*.webp")) for place in (tmp_path / "report", store))
    assert shown == kept
    assert len(kept) == 24


def limited(table: str) -> tuple[str, ...]:
    """The table, with the limits under which the store has its runs."""
    name, num_steps = TABLES[table]
    return name, "--suite", "shapes", "--limit-steps", str(num_steps), "--limit-images", "6"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def drawn(page: str) -> list[float]:
    """How high each point of the first curve of a page lies; y grows downwards."""
    (path,) = re.findall(r'class="line" d="M([^"]+)"', page)[:1]
    return [-float(point.split()[1]) for point in path.split("L")]


def shape(curve: Sequence[float]) -> list[float]:
    """The curve between 0 and 1, whatever its unit."""
    low, high = min(curve), max(curve)
    return [(value - low) / (high - low) for value in curve]
