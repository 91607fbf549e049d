"""SIGKILL of a trial, SIGKILL and SIGTERM of `ovlab run`, on Ray and without: again, it ends as if nothing happened."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import micro_sweep as micro


def kill_the_trial(driver: subprocess.Popen[bytes], folder: Path, run: str) -> None:
    """It is the process below the driver that holds the lock of the run."""
    lock = str(folder / "store" / "locks" / f"{run}.lock")
    for process in psutil.Process(driver.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if lock in [file.path for file in process.open_files()]:
                process.kill()
                return
    raise AssertionError(f"no process holds {lock}")


def kill_the_driver(driver: subprocess.Popen[bytes], folder: Path, run: str) -> None:
    driver.kill()


def terminate_the_driver(driver: subprocess.Popen[bytes], folder: Path, run: str) -> None:
    driver.terminate()


@pytest.fixture
def left_behind() -> Iterator[list[psutil.Process]]:
    """Processes that must be gone at the end; what is not is ended here. A publisher goes on for a while."""
    processes: list[psutil.Process] = []
    yield processes
    remaining = psutil.wait_procs(processes, timeout=240)[1]
    for process in remaining:
        with contextlib.suppress(psutil.Error):
            process.kill()
    assert remaining == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("happens", "runs_at_once", "code", "possible"),
    [
        (kill_the_trial, "2", micro.CODE, {"FINISHED", "FAILED"}),
        # test_job_driver.py does it on a Ray that stays
        pytest.param(kill_the_driver, "2", -signal.SIGKILL, {"KILLED", "FAILED"}, marks=pytest.mark.long),
        (terminate_the_driver, "2", 1, {"KILLED", "FAILED"}),
        (kill_the_driver, "1", -signal.SIGKILL, {"KILLED", "FAILED"}),
        pytest.param(terminate_the_driver, "1", 1, {"KILLED", "FAILED"}, marks=pytest.mark.long),
    ],
    ids=[
        "SIGKILL of a trial",
        "SIGKILL of the driver",
        "SIGTERM of the driver",
        "SIGKILL without Ray",
        "SIGTERM without Ray",
    ],
)
def test_sweep_ends_as_if_nothing_had_happened(
    happens: Callable[..., None],
    runs_at_once: str,
    code: int,
    possible: set[str],
    undisturbed: Path,
    tmp_path: Path,
    left_behind: list[psutil.Process],
) -> None:
    folder = tmp_path / "disturbed"
    driver = micro.start(folder, "--runs-at-once", runs_at_once)
    micro.wait_until(lambda: micro.run_under_way(folder) or driver.poll() is not None, 300)
    run = micro.run_under_way(folder)
    assert run is not None, micro.errors_of(folder)
    left_behind.extend(psutil.Process(driver.pid).children(recursive=True))

    happens(driver, folder, run)

    assert driver.wait() == code, micro.errors_of(folder)
    # What the driver cannot say any more, its publisher says.
    micro.wait_until(lambda: "RUNNING" not in micro.statuses(folder).values(), 60)
    assert set(micro.statuses(folder).values()) <= possible

    again = micro.start(folder, "--runs-at-once", runs_at_once)

    assert again.wait() == micro.CODE, micro.errors_of(folder)
    assert "failed: micro broken, seed 0: step 2: the loss is nan" in micro.errors_of(folder)
    micro.assert_same(folder, undisturbed)
    assert micro.on_the_server(folder) == micro.END
