"""What is secret stays in the environment: it is in no file, no output and no command line of any process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlflow_server import Server

SECRET = "marker-3f7a"
PROGRAM = Path(__file__).parents[2] / "programs" / "micro_table.py"
RUN = ("run", str(PROGRAM), "--clip", "shapes-vit-s=none", "--limit-steps", "2", "--limit-images", "2")
HERE = ("--device", "cpu", "--loader-workers", "0", "--runs-at-once", "1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", f"sqlite:///{tmp_path}/server/mlflow.db")
    yield server
    server.kill()


def command_lines(process: psutil.Process) -> set[str]:
    """Those of its descendants, too."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        try:
            found.add(" ".join(one.cmdline()))
        except psutil.Error:
            continue
    return found


def ovlab(folder: Path, tracker: str, *arguments: str) -> tuple[str, set[str]]:
    """What the command printed, and the command lines of its processes."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracker, "OVLAB_CACHE": str(folder / "cache"), "TOKEN": SECRET}
    with (folder / "out").open("w+") as out:
        call = [sys.executable, "-m", "ovlab", *arguments]
        work = subprocess.Popen(call, stdout=out, stderr=out, cwd=folder, env=environment)
        seen = set()
        while work.poll() is None:
            seen |= command_lines(psutil.Process(work.pid))
            time.sleep(0.05)
        out.seek(0)
        return out.read(), seen


def files_with(secret: str, folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("answers", [True, False])
def test_password_of_the_tracker_is_nowhere_but_in_the_environment(
    answers: bool, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    if answers:
        server.start()
        server.wait()
    tracker = f"http://bob:{SECRET}@127.0.0.1:{server.port}"

    run, seen = ovlab(folder, tracker, *RUN, *HERE, "--store", "store")
    publish, more = ovlab(folder, tracker, "runs", "publish", "--store", "store")
    doctor, _ = ovlab(folder, tracker, "doctor", "--store", "store")
    report, _ = ovlab(folder, tracker, "report", str(PROGRAM), "--store", "store", "--out", "report")

    assert any("ovlab.tracking.publisher" in line for line in seen)
    assert ("events told to" in publish) == answers, publish
    assert f"http://127.0.0.1:{server.port}" in doctor
    assert "index.html" in report
    assert [text for text in (run, publish, doctor, report, *seen, *more) if SECRET in text or "bob" in text] == []
    assert files_with(SECRET, tmp_path) == []
    assert files_with("bob:", folder) == []
