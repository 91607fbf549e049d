"""SIGKILL of the driver of a job, on a Ray that stays: handed in again, it ends as if nothing had happened."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import micro_sweep as micro
from ray_head import Head, ray_head

# The actors, placement groups and processors that a job holds on the cluster.
HELD = """
import ray
from ray.util.state import list_actors
ray.init("auto", log_to_driver=False)
actors = [actor.class_name for actor in list_actors() if actor.state == "ALIVE"]
groups = [group for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]
print(actors, len(groups), int(ray.cluster_resources()["CPU"] - ray.available_resources().get("CPU", 0)))
"""
NOTHING = "[] 0 0"


@pytest.fixture
def head() -> Iterator[Head]:
    with ray_head() as found:
        yield found


def driver_of(folder: Path) -> psutil.Process | None:
    """The process that runs the command, not the shell around it."""
    for process in psutil.process_iter(["cmdline"]):
        call = process.info["cmdline"] or []
        if call[1:4] == ["-m", "ovlab", "run"] and str(folder / "store") in call:
            return process
    return None


@pytest.mark.timeout(900)
def test_job_whose_driver_is_killed_ends_alike_when_it_is_handed_in_again(
    head: Head, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "disturbed"
    folder.mkdir()
    environment = {**micro.environment(folder), **head.environment(), "RAY_AUTH_MODE": "token"}
    variables = ["--env", f"OVLAB_CACHE={tmp_path / 'cache'}", "--env", "OMP_NUM_THREADS=1"]
    _, _, *command = micro.command(folder)

    def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        python = [sys.executable, *arguments]
        return subprocess.run(python, env={**environment, **more}, capture_output=True, text=True, timeout=600)

    def submit(*options: str) -> subprocess.CompletedProcess[str]:
        place = ["--address", head.dashboard, *variables, *options]
        return call("-m", "ovlab", "submit", *place, "--", *command, "--runs-at-once", "2")

    def held() -> str:
        found = call("-c", HELD, RAY_ADDRESS=head.address)
        return found.stdout.strip() or found.stderr

    job = submit("--no-wait")
    assert job.returncode == 0, job.stderr
    # Asking takes seconds, in which a sweep may come to its end; so the driver is killed as soon as a run is under way.
    micro.wait_until(lambda: held() != NOTHING, 300)
    micro.wait_until(lambda: micro.run_under_way(folder), 300)
    driver = driver_of(folder)
    assert driver is not None

    driver.kill()

    micro.wait_until(lambda: held() == NOTHING, 120)
    micro.wait_until(lambda: "RUNNING" not in micro.statuses(folder).values(), 60)
    found = micro.statuses(folder)
    assert found["micro"] == "KILLED"
    # A trial writes its journal itself: one that had little left to do may have come to its end.
    assert set(found.values()) <= {"KILLED", "FAILED", "FINISHED"}

    again = submit()

    assert again.returncode == micro.CODE, again.stdout + again.stderr
    micro.assert_same(folder, undisturbed)
    assert micro.on_the_server(folder) == micro.END
    assert held() == NOTHING
