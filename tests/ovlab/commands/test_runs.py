"""`ovlab runs` as a person calls it, on real journals and a real database."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovlab.cli import main
from ovlab.commands import runs
from ovlab.files.lock import locked
from ovlab.specs.events import Beat, Ended, Event, RunHeader, Started, Step
from ovlab.store.journal import open_journal
from ovlab.store.journal_lines import pack_line
from ovlab.store.store import Store, open_store
from ovlab.tracking.publisher import LOCK

STEP = Step(step=1, loss=0.5, learning_rate=0.1, grad_norm=0.1, images_per_second=1.0)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ovlab.tracking.mlflow_client import prepare_schema

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare_schema(f"sqlite:///{file}")
    return file


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def tell(store: Store, run: str, day: int, *events: tuple[float, Event]) -> None:
    name = f"journals/{run}/202601{day:02}T030405000000Z-00000000.00000000.jsonl"
    store.folder.write(name, b"".join(pack_line(event, time) for time, event in events))


def started(run: str, name: str, parent: str | None = "table4") -> Started:
    return Started(header=RunHeader(run=run, name=name, parent=parent), host="elsewhere", process=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A table with one trained row and one that is silent since a minute."""
    store = open_store(str(tmp_path / "store"))
    tell(store, "done", 2, (1.0, started("done", "lambda 0.5")), (2.0, STEP), (3.0, Ended(status="FINISHED")))
    tell(store, "silent", 3, (time.time() - 60, started("silent", "lambda 1")))
    with open_journal(store, RunHeader(run="table4", name="Table 4")):
        yield store


def files_of(store: Store) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(str(store)).rglob("*") if path.is_file()}


def answer(capsys: pytest.CaptureFixture[str], *call: str) -> dict:
    assert main(["runs", *call, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_list_shows_runs_under_their_parents_and_writes_nothing(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(store)

    assert main(["runs", "list", "--store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Table 4  RUNNING")
    assert lines[1].startswith("  lambda 1  RUNNING  2026-01-03")
    assert "attempt 1  last sign 6" in lines[1]
    assert lines[2].startswith("  lambda 0.5  FINISHED")
    assert "events are to be told" in lines[3]

    found = answer(capsys, "list", "--store", str(store))
    assert found["num_waiting"] == 5
    (silent,) = [run for run in found["runs"] if run["run"] == "silent"]
    assert (silent["name"], silent["status"], silent["parent"], silent["attempt"]) == (
        "lambda 1",
        "RUNNING",
        "table4",
        1,
    )
    assert 59 < silent["silent_seconds"] < 120
    finished = answer(capsys, "list", "--store", str(store), "--status", "FINISHED")["runs"]
    assert [run["run"] for run in finished] == ["done"]
    assert files_of(store) == before


def test_list_shows_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    from types import SimpleNamespace

    from ovlab.specs.events import Recorded

    record = SimpleNamespace(evaluation=SimpleNamespace(benchmark="a-150"), figures={"miou": 0.3125})
    monkeypatch.setattr(Store, "evaluation", lambda self, fingerprint: record if fingerprint == "e" else None)
    recorded = [Recorded(work="training", fingerprint="t"), Recorded(work="evaluation", fingerprint="e")]
    tell(store, "scored", 4, (1.0, started("scored", "lambda 0")), *((2.0, event) for event in recorded))

    main(["runs", "list", "--store", str(store)])

    assert "a-150/miou 31.2 %" in capsys.readouterr().out


def test_reap_ends_what_is_silent_and_nothing_else(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--store", str(store)]
    assert main(["runs", "reap", *place]) == 0
    assert "no run is dead" in capsys.readouterr().out

    before = files_of(store)
    (reaped,) = answer(capsys, "reap", *place, "--stale-after", "30", "--dry-run")["reaped"]
    assert (reaped["run"], reaped["name"]) == ("silent", "lambda 1")
    assert files_of(store) == before

    assert main(["runs", "reap", *place, "--stale-after", "30"]) == 0
    assert capsys.readouterr().out.startswith("KILLED  lambda 1  no sign of life for 6")
    assert answer(capsys, "reap", *place, "--stale-after", "30")["reaped"] == []
    killed = answer(capsys, "list", *place, "--status", "KILLED")["runs"]
    assert [run["run"] for run in killed] == ["silent"]
    assert killed[0]["reason"].startswith("no sign of life")


def test_publish_tells_the_server_once(
    store: Store, empty_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store" / "tracking").mkdir()
    shutil.copyfile(empty_database, tmp_path / "store" / "tracking" / "mlflow.db")
    place = ["--store", str(store)]

    assert main(["runs", "publish", *place]) == 0
    assert capsys.readouterr().out.startswith("5 events told to sqlite:")
    assert answer(capsys, "list", *place)["num_waiting"] == 0
    assert answer(capsys, "publish", *place)["num_published"] == 0
    assert answer(capsys, "publish", *place, "--again")["num_published"] == 5


def test_publish_beside_another_that_publishes_says_so(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LOCK_SECONDS", 0.2)
    with locked(tmp_path / "store" / "tracking" / LOCK, "test"):
        assert main(["runs", "publish", "--store", str(store)]) == 1

    error = capsys.readouterr().err.strip()
    assert "another process is publishing" in error
    assert len(error.splitlines()) == 1


def test_server_that_is_away_is_one_line_without_its_password_and_exit_code_1(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")

    assert main(["runs", "publish", "--store", str(store)]) == 1

    error = capsys.readouterr().err.strip()
    assert error.startswith("ovlab: http://127.0.0.1:9: nothing can be told: no answer")
    assert len(error.splitlines()) == 1
    assert main(["runs", "list", "--store", str(store)]) == 0


def test_database_that_another_process_holds_is_one_line_and_exit_code_1(
    store: Store, empty_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store" / "tracking").mkdir()
    database = tmp_path / "store" / "tracking" / "mlflow.db"
    shutil.copyfile(empty_database, database)
    holder = sqlite3.connect(database)
    holder.execute("begin exclusive")

    assert main(["runs", "publish", "--store", str(store)]) == 1
    holder.close()

    error = capsys.readouterr().err.strip()
    assert "database is locked" in error
    assert len(error.splitlines()) == 1


def test_damaged_run_is_listed_beside_the_others(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.folder.write("journals/damaged/20260109T030405000000Z-00000000.00000000.jsonl", b"\xff\x00\n" * 3)
    tell(store, "odd", 8, (1.0, Beat()), (2.0, Ended(status="KILLED")))

    found = {run["run"]: run for run in answer(capsys, "list", "--store", str(store))["runs"]}

    assert found.keys() == {"damaged", "odd", "done", "silent", "table4"}
    assert (found["damaged"]["name"], found["odd"]["status"]) == ("damaged", "KILLED")
    assert {run["run"] for run in answer(capsys, "reap", "--store", str(store))["reaped"]} == {"damaged"}


def test_runs_that_are_their_own_ancestors_are_listed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    tell(store, "a", 8, (1.0, started("a", "a", parent="b")))
    tell(store, "b", 9, (1.0, started("b", "b", parent="a")))

    main(["runs", "list", "--store", str(store)])

    assert {"a", "b"} <= {line.split()[0] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["runs", "reap", "--stale-after", "0"], "--stale-after"),
        (["runs", "list", "--store", "nowhere"], "nowhere: no runs"),
        (["runs", "publish", "--store", "nowhere"], "nowhere: no runs"),
    ],
    ids=["no seconds", "no store to list", "no store to publish"],
)
def test_wrong_call_is_one_line_and_exit_code_2(
    call: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(call) == 2

    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_store_in_a_bucket_is_listed_without_a_server_and_published_with_one_only(
    s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    store = open_store(f"s3://{s3_bucket}/store")
    with open_journal(store, RunHeader(run="a", name="a")) as journal:
        journal.write(Ended(status="FINISHED"))

    assert [run["status"] for run in answer(capsys, "list", "--store", str(store))["runs"]] == ["FINISHED"]
    assert main(["runs", "publish", "--store", str(store)]) == 2
    assert "MLFLOW_TRACKING_URI" in capsys.readouterr().err


@pytest.mark.parametrize("call", [["runs"], ["runs", "list"], ["runs", "reap"], ["runs", "publish"]])
def test_help_has_an_example(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*call, "--help"])

    assert stop.value.code == 0
    assert " ".join(["ovlab", *call]) in capsys.readouterr().out.split("example", 1)[1]


def test_list_and_help_load_no_mlflow(store: Store) -> None:
    code = (
        "import sys\nfrom ovlab.cli import main\n"
        f"main(['runs', 'list', '--store', {str(store)!r}])\n"
        "try:\n    main(['runs', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'mlflow', 'torch'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_list_of_a_store_without_journals_says_that_its_records_are_of_an_older_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evaluations" / ("a" * 64)).mkdir(parents=True)

    assert main(["runs", "list", "--store", str(tmp_path)]) == 2

    said = capsys.readouterr().err
    assert "1 trainings and evaluations there, of a version without journals" in said
    assert "no runs there" not in said
