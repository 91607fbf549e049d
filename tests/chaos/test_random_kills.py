"""Fifteen kills of a command at random moments, and then the same command: nothing is lost, and nothing is left."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from micro_sweep import environment
from ovlab.store.artifacts import fetch_weights
from ovlab.store.journal import curve_of, journaled_runs, read_journal, status_of
from ovlab.store.store import open_store

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

NUM_KILLS = 15
MICRO = [
    f"--set={change}"
    for change in (
        *("model.clip.image_size=64", "augmentation.crop_size=64", "model.guidance_dim=16", "model.attention_heads=2"),
        *("model.region_grid=2", "model.fusion_depth=1", "model.decoder_dims=[16,16]", "model.state_dim=4"),
    )
]
COMMANDS = {
    "run": ["run", "table4", "--suite", "shapes", "--limit-steps", "4", "--limit-images", "8", "--runs-at-once", "2"],
    "train": [
        *("train", "--data", "shapes-pc-59", "--preset", "tiny", "--steps", "60", "--checkpoint-every", "7"),
        *("--loader-workers", "0", *MICRO),
    ],
}


def call(command: Sequence[str], folder: Path) -> list[str]:
    place = {"run": "--workdir", "train": "--out"}[command[0]]
    return [sys.executable, "-m", "ovlab", *command, "--store", str(folder / "store"), place, str(folder / "runs")]


def start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    with (folder / "errors.txt").open("ab") as errors:
        return subprocess.Popen(
            call(command, folder), cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL, stderr=errors
        )


def finish(command: Sequence[str], folder: Path) -> float:
    """Run it to its end; returns the seconds that took."""
    began = time.monotonic()
    assert start(command, folder).wait() == 0, (folder / "errors.txt").read_text()[-3000:]
    return time.monotonic() - began


def kill_at_random(command: Sequence[str], folder: Path, seconds: float, chance: random.Random) -> list[psutil.Process]:
    """Start it, and kill it somewhere in the first `seconds`; returns the processes that it leaves."""
    driver = start(command, folder)
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(timeout=chance.uniform(0.0, seconds))
        return []
    below = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    return below


@pytest.mark.parametrize("name", COMMANDS)
def test_command_killed_again_and_again_ends_as_one_that_was_not(name: str, tmp_path: Path) -> None:
    command, chance = COMMANDS[name], random.Random(0)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    seconds = finish(command, calm)

    processes: list[psutil.Process] = []
    for _ in range(NUM_KILLS):
        # The first third is where all of them find work.
        processes += kill_at_random(command, killed, seconds / 3, chance)
    finish(command, killed)

    ours, theirs = (open_store(str(folder / "store")) for folder in (killed, calm))
    assert {one.fingerprint for one in ours.records()} == {one.fingerprint for one in theirs.records()}
    assert {one.fingerprint: one.figures for one in ours.evaluations()} == {
        one.fingerprint: one.figures for one in theirs.evaluations()
    }
    for training in theirs.trainings():
        mine = ours.training(training.fingerprint)
        assert mine is not None
        first, second = (load_file(fetch_weights(*pair, tmp_path)) for pair in ((ours, mine), (theirs, training)))
        assert all(torch.equal(first[weight], second[weight]) for weight in first)
        steps = curve_of(read_journal(ours, training.fingerprint))
        assert [step.step for step in steps] == list(range(1, training.num_steps + 1))
    assert "RUNNING" not in {status_of(read_journal(ours, run)).status for run in journaled_runs(ours)}
    # A publisher goes on for up to a minute when its work is gone, and Ray's processes end by themselves.
    assert psutil.wait_procs(processes, timeout=240)[1] == []
    assert [path for path in killed.rglob("*") if path.name.endswith(".partial")] == []
