"""`ovlab runs` as a person calls it, on a real database."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ovlab.cli import main
from ovlab.commands import runs
from ovlab.tracking.destination import Destination, destination
from ovlab.tracking.replay import replay_lock
from ovlab.tracking.spool import SpoolTracker
from ovlab.tracking.tracker import RunHeader


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ovlab.tracking.mlflow_client import prepare_schema

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare_schema(f"sqlite:///{file}")
    return file


@pytest.fixture
def tracking(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    """A table with one trained row and one that is silent, still in the spool."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "tracking").mkdir()
    shutil.copyfile(empty_database, tmp_path / "tracking" / "mlflow.db")
    to = destination(str(tmp_path))
    SpoolTracker(to.spool).start(RunHeader(run="table4", name="Table 4"))
    done = SpoolTracker(to.spool)
    done.start(RunHeader(run="done", name="lambda 0.5", parent="table4"))
    done.metrics(1, {"a-150/miou": 0.3125})
    done.end("FINISHED")
    SpoolTracker(to.spool).start(RunHeader(run="silent", name="lambda 1", parent="table4"))
    return to


def test_replay_list_and_reap(tracking: Destination, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path)]

    assert main(["runs", "list", *store]) == 0
    assert "5 events wait" in capsys.readouterr().out
    assert main(["runs", "replay", *store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_delivered"] == 5
    assert main(["runs", "replay", *store]) == 0
    assert capsys.readouterr().out.startswith("0 events delivered")

    assert main(["runs", "list", *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Table 4  RUNNING")
    assert {line[:11] for line in lines[1:]} == {"  lambda 0.", "  lambda 1 "}
    assert "a-150/miou 31.2 %" in "".join(lines)

    assert main(["runs", "reap", *store]) == 0
    assert "no run is silent" in capsys.readouterr().out
    time.sleep(0.3)
    alive = SpoolTracker(tracking.spool)
    alive.join(RunHeader(run="table4", name="Table 4"))
    alive.heartbeat()
    stale = [*store, "--stale-after", "0.25", "--json"]
    assert main(["runs", "reap", *stale, "--dry-run"]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["reaped"]] in (["silent"], ["silent", "table4"])
    alive.heartbeat()
    assert main(["runs", "reap", *stale]) == 0
    assert "silent" in [run["run"] for run in json.loads(capsys.readouterr().out)["reaped"]]

    assert main(["runs", "list", *store, "--status", "KILLED", "--json"]) == 0
    assert "silent" in [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]]
    assert main(["runs", "list", *store, "--status", "FINISHED", "--json"]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["done"]


def test_replay_beside_another_replay_says_so(
    tracking: Destination, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LOCK_SECONDS", 0.2)
    with replay_lock(tracking.spool):
        assert main(["runs", "replay", "--store", str(tmp_path)]) == 1

    error = capsys.readouterr().err
    assert "is delivering this spool" in error
    assert len(error.strip().splitlines()) == 1


def test_server_that_is_away_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    assert main(["runs", "list", "--store", str(tmp_path)]) == 1

    error = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in error if line.startswith("ovlab: ")]) == 1
    assert "does not answer" in error[-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["runs", "reap", "--stale-after", "0"], "--stale-after"),
        (["runs", "list", "--store", "s3://bucket/store"], "MLFLOW_TRACKING_URI"),
        (["runs", "list", "--store", "nowhere"], "nowhere: no runs"),
    ],
    ids=["no seconds", "bucket without server", "no store"],
)
def test_wrong_call_is_one_line_and_exit_code_2(
    call: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    assert main(call) == 2

    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("call", [["runs"], ["runs", "list"], ["runs", "reap"], ["runs", "replay"]])
def test_help_has_an_example(call: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*call, "--help"])

    assert stop.value.code == 0
    assert " ".join(["ovlab", *call]) in capsys.readouterr().out.split("example", 1)[1]


def test_help_of_the_group_loads_no_mlflow() -> None:
    code = (
        "import sys\nfrom ovlab.cli import main\n"
        "try:\n    main(['runs', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'mlflow', 'torch'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
