"""Real processes that are killed: the same call must end with the weights of an undisturbed run."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import torch
from safetensors.torch import load_file

from ovlab.cluster import connect
from ovlab.results.artifacts import fetch_weights
from ovlab.results.record import TrainingRecord
from ovlab.results.store import open_store
from ovlab.training.step_log import StepRecord

PROGRAM = Path(__file__).parents[1] / "cluster" / "micro_training.py"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


micro = load(PROGRAM)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


def train_in(folder: Path, **changes: object) -> TrainingRecord:
    return micro.two_workers(open_store(str(folder / "store")), folder / "work", **changes)


@pytest.fixture(scope="module")
def undisturbed(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    with connect("local", num_cpus=2):
        train_in(folder)
    return folder


def assert_same_weights(folder: Path, undisturbed: Path) -> None:
    stores = [open_store(str(place / "store")) for place in (folder, undisturbed)]
    ours, theirs = (load_file(fetch_weights(store, next(store.trainings()), folder)) for store in stores)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def train_workers() -> list[psutil.Process]:
    """The workers below this process, in no order."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def kill_at(step: int, choose: Callable[[list[psutil.Process]], psutil.Process]) -> Callable[[StepRecord], None]:
    """A hook that kills one worker, once, when it hears of `step` or a later one."""
    killed: list[int] = []

    def hook(record: StepRecord) -> None:
        if record.step >= step and not killed:
            workers = train_workers()
            assert len(workers) == 2
            worker = choose(workers)
            killed.append(worker.pid)
            worker.kill()

    return hook


@pytest.mark.parametrize("choose", [min, max], ids=["one worker", "the other"])
def test_training_goes_on_when_a_worker_is_killed(
    choose: Callable[..., psutil.Process], undisturbed: Path, tmp_path: Path
) -> None:
    heard: list[int] = []

    def by_age(workers: list[psutil.Process]) -> psutil.Process:
        return choose(workers, key=lambda worker: worker.pid)

    with connect("local", num_cpus=2):
        record = train_in(tmp_path, on_step=[lambda record: heard.append(record.step), kill_at(7, by_age)])

    assert record.num_steps == micro.NUM_STEPS
    assert len(record.cost.attempts) == 2
    assert heard[-1] == micro.NUM_STEPS
    assert_same_weights(tmp_path, undisturbed)


def test_training_goes_on_after_its_driver_is_killed_when_the_same_command_is_given(
    undisturbed: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in driver.stdout:
        if int(line) >= 7:
            break
    below = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    assert next(open_store(str(tmp_path / "store")).trainings(), None) is None

    again = subprocess.run(command, capture_output=True, text=True)

    assert again.returncode == 0, again.stderr
    assert int(again.stdout.split()[0]) > 1
    assert_same_weights(tmp_path, undisturbed)
    deadline = time.monotonic() + 30
    while any(process.is_running() for process in below) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [process for process in below if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
