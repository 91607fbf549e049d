"""ovlab.ray.on_ray: what a driver says itself, since nobody hears a worker."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import micro_run
from logoseg.clip import known_files
from logoseg.clip.shipped import shipped_clip
from logoseg.presets import PRESETS
from ovlab.ray.on_ray import OnRay
from ovlab.runs.context import RunContext
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError
from ovlab.store.store import open_store

PRESET = "shapes-vit-s"
TRAINING = PlannedTraining(spec=micro_run.spec(), preset=PRESET, status="missing")


class RayWouldStart(Exception):
    pass


def start(**_: object) -> NoReturn:
    raise RayWouldStart


@pytest.mark.parametrize(
    "begin",
    [
        lambda context: OnRay(num_processes=1).train(TRAINING, context),
        lambda context: OnRay(num_at_once=2).make([PlannedRun(subject=TRAINING)], context, print),
    ],
    ids=["train", "make"],
)
def test_what_is_assumed_of_clip_weights_that_nobody_knows_is_said_before_a_ray_is_started(
    begin: Callable[[RunContext], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shipped = shipped_clip(PRESETS[PRESET]().clip)
    assert shipped is not None
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(shipped.read_bytes())
    context = RunContext(
        store=open_store(str(tmp_path / "store")),
        workdir=tmp_path / "runs",
        sources=Sources(clip_files={PRESET: str(mine)}),
    )
    monkeypatch.setattr(known_files, "is_own", lambda config: False)
    monkeypatch.setattr("ovlab.ray.on_ray.connect", start)

    with pytest.raises(RayWouldStart):
        begin(context)

    (warning,) = caplog.messages
    assert "mine.safetensors: no released file known here" in warning


def test_bound_of_gpus_in_which_no_run_would_begin_is_refused_before_a_ray_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = RunContext(store=open_store(str(tmp_path / "store")), workdir=tmp_path / "runs", sources=Sources())
    monkeypatch.setattr("ovlab.ray.on_ray.connect", start)

    with pytest.raises(InputError, match=r"--max-gpus 1: a run needs 2"):
        OnRay(num_processes=(2, 4), max_gpus=1).make([PlannedRun(subject=TRAINING)], context, print)
