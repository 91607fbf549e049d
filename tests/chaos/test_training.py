"""Real processes that are killed: the same call must end with the weights of an undisturbed run."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

import micro_training as micro
from ovlab.ray.cluster import connect
from ovlab.runs.observer import Observer
from ovlab.specs.events import Step
from ovlab.store.artifacts import fetch_weights
from ovlab.store.record import TrainingRecord
from ovlab.store.store import open_store
from ovlab.training.run_folder import LOCK


class KillTwice(Observer):
    """Kills the worker that leads when it hears of step 7 or a later one, and one that follows at 20."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.to_kill = [(7, True), (20, False)]

    def on_step(self, step: Step) -> None:
        self.heard.append(step.step)
        if self.to_kill and step.step >= self.to_kill[0][0]:
            _, leads = self.to_kill.pop(0)
            workers = train_workers()
            assert sorted(workers) == [False, True]
            workers[leads].kill()


def train_workers() -> dict[bool, psutil.Process]:
    """The workers below this process, by whether they hold the run folder."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found[any(Path(file.path).name == LOCK for file in process.open_files())] = process
    return found


def train_in(folder: Path, **changes: object) -> TrainingRecord:
    return micro.shared_training(open_store(str(folder / "store")), folder / "work", **changes)


def assert_same_weights(folder: Path, other: Path) -> None:
    stores = [open_store(str(place / "store")) for place in (folder, other)]
    ours, theirs = (load_file(fetch_weights(store, next(store.trainings()), folder)) for store in stores)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def trained(own_cache: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, KillTwice]:
    """The folders of an undisturbed run and of one whose workers are killed, and the killer. The Ray of both has ended,
    as a second one on the machine would disturb the next test."""
    undisturbed, disturbed = (tmp_path_factory.mktemp(name) for name in ("undisturbed", "disturbed"))
    killer = KillTwice()
    with connect("local", num_cpus=2):
        train_in(undisturbed)
        train_in(disturbed, observer=killer)
    return undisturbed, disturbed, killer


def test_training_goes_on_when_a_worker_is_killed_whether_it_leads_or_follows(
    trained: tuple[Path, Path, KillTwice],
) -> None:
    undisturbed, disturbed, killer = trained

    (record,) = open_store(str(disturbed / "store")).trainings()

    assert killer.to_kill == []
    assert killer.heard[-1] == record.num_steps == micro.NUM_STEPS
    led, followed, ended = (attempt.status for attempt in record.cost.attempts)
    assert (led, followed, ended) == ("stopped", "stopped", "finished")
    assert_same_weights(disturbed, undisturbed)


@pytest.mark.long
def test_training_goes_on_after_its_driver_is_killed_when_the_same_command_is_given(
    trained: tuple[Path, Path, KillTwice], tmp_path: Path
) -> None:
    command = [sys.executable, micro.__file__, str(tmp_path)]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    next(line for line in driver.stdout if int(line) >= 7)
    below = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    assert next(open_store(str(tmp_path / "store")).trainings(), None) is None

    again = subprocess.run(command, capture_output=True, text=True)

    assert again.returncode == 0, again.stderr
    assert int(again.stdout.split()[0]) > 1
    assert_same_weights(tmp_path, trained[0])
    assert still_running(below, seconds=30) == []


def still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
