"""SIGKILL of an actor and of the driver of an evaluation over Ray: it ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

import cluster_run
from ovlab.ray.cluster import connect
from ovlab.runs.here import Here
from ovlab.runs.observer import Observer
from ovlab.specs.events import Counts
from ovlab.store import count_shards as shards
from ovlab.store.count_shards import columns_of
from ovlab.store.store import open_store


def kill_an_actor() -> int:
    for process in psutil.Process().children(recursive=True):
        if "CountingActor" in " ".join(process.cmdline()) or "MapWorker" in " ".join(process.cmdline()):
            process.kill()
            return process.pid
    raise AssertionError("no actor is running")


def test_actor_that_is_killed_is_replaced_and_the_counts_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "IMAGES_PER_SHARD", 4)
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    torch.set_num_threads(1)
    weights = cluster_run.save_subject(tmp_path)
    plain, store = open_store(str(tmp_path / "plain")), open_store(str(tmp_path / "ray"))
    killed: list[int] = []

    class KillOnce(Observer):
        def on_counts(self, counts: Counts) -> None:
            if not killed:
                killed.append(kill_an_actor())

    with connect("local", num_cpus=2):
        actors = cluster_run.Actors(num_processes=2)
        records = cluster_run.evaluate(cluster_run.jobs(), store, weights, actors, KillOnce())

    expected = cluster_run.evaluate(cluster_run.jobs(), plain, weights, Here())
    assert killed
    assert [record.figures for record in records] == [record.figures for record in expected]
    for record in records:
        ours, theirs = columns_of(store, record.fingerprint).images(), columns_of(plain, record.fingerprint).images()
        assert [(image.id, *(part.tolist() for part in image.counts[:3])) for image in ours] == [
            (image.id, *(part.tolist() for part in image.counts[:3])) for image in theirs
        ]


def start(folder: Path, num_actors: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OVLAB_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen([sys.executable, cluster_run.__file__, str(folder), str(num_actors)], env=environment)


def shard_files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("store/evaluations/*/counts/*.parquet")}


@pytest.mark.long
def test_evaluation_whose_driver_is_killed_continues_with_the_missing_shards(tmp_path: Path) -> None:
    cluster_run.save_subject(tmp_path)

    driver = start(tmp_path, 1)
    deadline = time.monotonic() + 400
    while not shard_files(tmp_path) and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert driver.poll() is None, "the driver has ended by itself"
    children = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = shard_files(tmp_path)
    again = start(tmp_path, 2)

    assert before
    assert again.wait(timeout=500) == 0
    # Ray's agents, Python programs, take a while to notice.
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert before.items() <= shard_files(tmp_path).items()
    records = list(open_store(str(tmp_path / "store")).evaluations())
    assert len(records) == 3
    assert {record.figures["num_images"] for record in records} == {60}
    assert any(attempt.status == "running" for record in records for attempt in record.cost.attempts)
