"""`ovlab run` on the micro table as a process that can be killed, and what it left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from ovlab.store.artifacts import fetch_weights
from ovlab.store.journal import curve_of, journaled_runs, read_journal, status_of
from ovlab.store.store import open_store
from shown_runs import runs_at

TABLE = Path(__file__).with_name("micro_table.py")
NUM_STEPS = 24
# The row that diverges fails in every run of the command.
CODE = 1
END = {"micro": "FAILED", "micro broken": "FAILED", "micro full": "FINISHED", "micro zero": "FINISHED"}


def command(folder: Path) -> list[str]:
    """`ovlab run` with its store and its work in `folder`."""
    places = ["--store", str(folder / "store"), "--workdir", str(folder / "runs")]
    limits = ["--limit-steps", str(NUM_STEPS), "--limit-images", "2", "--checkpoint-every", "5"]
    work = ["--clip", "shapes-vit-s=none", "--device", "cpu", "--loader-workers", "0"]
    return ["-m", "ovlab", "run", str(TABLE), *places, *limits, *work]


def start(folder: Path, *options: str, **variables: str) -> subprocess.Popen[bytes]:
    """Its errors are in errors.txt in the folder."""
    call = [sys.executable, *command(folder), *options]
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
    store = open_store(str(folder / "store"))
    for run in journaled_runs(store):
        if 7 <= len(curve_of(read_journal(store, run))) < NUM_STEPS - 5:
            return run
    return None


def wait_until(happens: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def made_in(folder: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, object]]:
    """The weights of each training, and the figures of each evaluation."""
    store = open_store(str(folder / "store"))
    weights = {record.fingerprint: load_file(fetch_weights(store, record, folder)) for record in store.trainings()}
    return weights, {record.fingerprint: record.figures for record in store.evaluations()}


def assert_same(folder: Path, other: Path) -> None:
    """The same runs, with weights and figures that are equal to the bit."""
    (weights, figures), (expected_weights, expected_figures) = made_in(folder), made_in(other)
    assert len(figures) == 4
    assert figures == expected_figures
    assert weights.keys() == expected_weights.keys()
    for fingerprint, tensors in weights.items():
        assert all(torch.equal(tensor, expected_weights[fingerprint][name]) for name, tensor in tensors.items())


def statuses(folder: Path) -> dict[str, str]:
    """Those of the runs, by their journals."""
    store = open_store(str(folder / "store"))
    logs = [read_journal(store, run) for run in journaled_runs(store)]
    return {short_name(log.header.name): status_of(log).status for log in logs if log.header is not None}


def short_name(name: str) -> str:
    return name.split(",")[0].split(" (")[0]


def on_the_server(folder: Path, **variables: str) -> dict[str, str]:
    """The statuses in MLflow, after everything was published."""
    store = str(folder / "store")
    subprocess.run(
        [sys.executable, "-m", "ovlab", "runs", "publish", "--store", store],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        check=True,
    )
    uri = variables.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder}/store/tracking/mlflow.db"
    return {short_name(run.info.run_name): run.info.status for run in runs_at(uri).values()}
