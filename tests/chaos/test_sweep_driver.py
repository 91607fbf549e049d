"""SIGKILL of a trial, SIGKILL and SIGTERM of the driver: `ovlab run` again ends as if nothing had happened."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from ovlab.results.artifacts import fetch_weights
from ovlab.results.store import open_store
from ovlab.tracking.destination import destination
from ovlab.tracking.spooled_state import spooled_states

TABLE = Path(__file__).parents[1] / "ovlab" / "sweeps" / "micro_table.py"
NUM_STEPS = 40


def command(*options: str) -> list[str]:
    call = [sys.executable, "-m", "ovlab", "run", str(TABLE), "--clip", "shapes-vit-s=none"]
    limits = ["--limit-steps", str(NUM_STEPS), "--limit-images", "2", "--checkpoint-every", "5"]
    return [*call, *limits, "--device", "cpu", "--loader-workers", "0", *options]


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    cache = str(folder.parent / "cache")
    environment = {**os.environ, "OVLAB_CACHE": cache, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    environment.pop("MLFLOW_TRACKING_URI", None)
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(*options), cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs, one after the other in one process without Ray."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    driver = start(folder, "--workers", "1", "--no-tracking")
    assert driver.stderr is not None
    errors = driver.stderr.read()
    # The row that diverges fails in every run.
    assert driver.wait() == 1, errors
    return folder


def made_in(folder: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, object]]:
    store = open_store(str(folder / "ovlab-store"))
    weights = {record.fingerprint: load_file(fetch_weights(store, record, folder)) for record in store.trainings()}
    return weights, {record.fingerprint: record.figures for record in store.evaluations()}


def assert_same(folder: Path, other: Path) -> None:
    (weights, figures), (expected_weights, expected_figures) = made_in(folder), made_in(other)
    assert len(figures) == 4
    assert figures == expected_figures
    assert weights.keys() == expected_weights.keys()
    for fingerprint, tensors in weights.items():
        assert all(torch.equal(tensor, expected_weights[fingerprint][name]) for name, tensor in tensors.items())


def long_run(folder: Path) -> str | None:
    """The fingerprint of a run that is some updates behind a checkpoint, once there is one."""
    for log in folder.glob("runs/*/steps.jsonl"):
        if 7 <= len(log.read_text().splitlines()) < NUM_STEPS - 5:
            return log.parent.name
    return None


def trial_of(driver: subprocess.Popen[str], folder: Path, run: str) -> psutil.Process:
    """The process below the driver that holds the claim of the run."""
    lock = str(folder / "runs" / "claims" / f"{run}.lock")
    for process in psutil.Process(driver.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if lock in [file.path for file in process.open_files()]:
                return process
    raise AssertionError(f"no process holds {lock}")


def kill_the_trial(driver: subprocess.Popen[str], folder: Path, run: str) -> None:
    trial_of(driver, folder, run).kill()


def kill_the_driver(driver: subprocess.Popen[str], folder: Path, run: str) -> None:
    driver.kill()


def terminate_the_driver(driver: subprocess.Popen[str], folder: Path, run: str) -> None:
    driver.terminate()


def statuses(folder: Path) -> dict[str, str]:
    found = spooled_states(destination(str(folder / "ovlab-store")).spool)
    return {state.header.name.split(",")[0].split(" (")[0]: state.status for state in found}


def wait_until(happens: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def on_the_server(folder: Path) -> dict[str, str]:
    """The statuses in MLflow, after everything was delivered."""
    for action in ("replay", "list"):
        call = [sys.executable, "-m", "ovlab", "runs", action, "--store", str(folder / "ovlab-store"), "--json"]
        answer = subprocess.run(call, capture_output=True, text=True, check=True)
    runs = json.loads(answer.stdout)["runs"]
    return {run["name"].split(",")[0].split(" (")[0]: run["status"] for run in runs}


@pytest.fixture
def left_behind() -> Iterator[list[psutil.Process]]:
    """Processes that must be gone at the end; they are ended there in any case."""
    processes: list[psutil.Process] = []
    yield processes
    remaining = psutil.wait_procs(processes, timeout=90)[1]
    for process in remaining:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert remaining == []


END = {"micro": "FAILED", "micro broken": "FAILED", "micro full": "FINISHED", "micro zero": "FINISHED"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("happens", "code", "status"),
    [
        (kill_the_trial, 1, {"FINISHED", "FAILED"}),
        (kill_the_driver, -signal.SIGKILL, {"KILLED", "FAILED"}),
        (terminate_the_driver, 1, {"KILLED", "FAILED"}),
    ],
    ids=["SIGKILL of a trial", "SIGKILL of the driver", "SIGTERM of the driver"],
)
def test_sweep_ends_as_if_nothing_had_happened(
    happens: Callable[[subprocess.Popen[str], Path, str], None],
    code: int,
    status: set[str],
    undisturbed: Path,
    tmp_path: Path,
    left_behind: list[psutil.Process],
) -> None:
    folder = tmp_path / "killed"
    driver = start(folder, "--workers", "2")
    wait_until(lambda: long_run(folder) is not None or driver.poll() is not None, 300)
    run = long_run(folder)
    assert run is not None
    left_behind.extend(psutil.Process(driver.pid).children(recursive=True))

    happens(driver, folder, run)

    assert driver.stderr is not None
    errors = driver.stderr.read()
    assert driver.wait() == code, errors
    # What nobody could say any more is said by the flusher.
    wait_until(lambda: "RUNNING" not in statuses(folder).values(), 60)
    assert set(statuses(folder).values()) <= status

    again = start(folder, "--workers", "2")
    left_behind.extend(psutil.Process(again.pid).children(recursive=True))
    assert again.stderr is not None
    errors = again.stderr.read()

    assert again.wait() == 1, errors
    assert "failed: micro broken, seed 0: step 2: the loss is nan" in errors
    assert_same(folder, undisturbed)
    assert on_the_server(folder) == END
