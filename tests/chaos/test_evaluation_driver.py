"""SIGKILL of the process that drives an evaluation over Ray: run again, it ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import tiny
from ovlab.results.store import open_store

pytestmark = pytest.mark.long

PROGRAM = Path(__file__).parent.parent / "cluster" / "cluster_run.py"


def start(folder: Path, num_actors: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OVLAB_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen([sys.executable, str(PROGRAM), str(folder), str(num_actors)], env=environment)


def shard_files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("store/evaluations/*/counts/*.parquet")}


def test_evaluation_whose_driver_is_killed_continues_with_the_missing_shards(tmp_path: Path) -> None:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    config = replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)
    save_weights(LoGoSeg(config).eval(), config, ("thing",), tmp_path / "weights.safetensors")

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
