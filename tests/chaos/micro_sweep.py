"""`ovlab run` on the micro table as a process that can be killed, and what it left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TABLE = Path(__file__).parents[1] / "ovlab" / "sweeps" / "micro_table.py"
NUM_STEPS = 24
# The row that diverges fails in every run of the command.
CODE = 1
END = {"micro": "FAILED", "micro broken": "FAILED", "micro full": "FINISHED", "micro zero": "FINISHED"}


def start(folder: Path, *options: str, **variables: str) -> subprocess.Popen[bytes]:
    """In the working directory `folder`; its errors are in errors.txt there."""
    call = [sys.executable, "-m", "ovlab", "run", str(TABLE), "--clip", "shapes-vit-s=none", "--store", "store"]
    limits = ["--limit-steps", str(NUM_STEPS), "--limit-images", "2", "--checkpoint-every", "5"]
    call += [*limits, "--device", "cpu", "--loader-workers", "0", *options]
    folder.mkdir(exist_ok=True)
    with (folder / "errors.txt").open("ab") as errors:
        return subprocess.Popen(
            call, cwd=folder, env=environment(folder, **variables), stdout=subprocess.DEVNULL, stderr=errors
        )


def environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
    return {**kept, "OVLAB_CACHE": str(folder.parent / "cache"), "OMP_NUM_THREADS": "1", **variables}


def errors_of(folder: Path) -> str:
    return (folder / "errors.txt").read_text()


def run_under_way(folder: Path) -> str | None:
    """The fingerprint of a training that is some updates behind a checkpoint, once there is one."""
    for log in folder.glob("runs/*/steps.jsonl"):
        if 7 <= len(log.read_text().splitlines()) < NUM_STEPS - 5:
            return log.parent.name
    return None


def wait_until(happens: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def short_name(name: str) -> str:
    return name.split(",")[0].split(" (")[0]


def on_the_server(folder: Path, **variables: str) -> dict[str, str]:
    """The statuses in MLflow, after everything was delivered."""
    answers = [
        subprocess.run(
            [sys.executable, "-m", "ovlab", "runs", action, "--store", "store", "--json"],
            cwd=folder,
            env=environment(folder, **variables),
            capture_output=True,
            check=True,
        )
        for action in ("replay", "list")
    ]
    return {short_name(run["name"]): run["status"] for run in json.loads(answers[1].stdout)["runs"]}
