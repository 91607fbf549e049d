"""A small CLIP from its spec to a file, killed in between."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from logoseg.clip.released_weights import load_clip
from logoseg.clip.towers import build_clip
from ovlab.pretraining.stages import pretrain
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.pretraining import SMALL_CLIPS, PretrainingSpec
from ovlab.specs.training import ScheduleSpec

CPU = torch.device("cpu")


def small(clip: str = "shapes-convnext-s") -> PretrainingSpec:
    stage = ScheduleSpec(steps=2, batch_size=4, learning_rate=1e-3)
    return replace(SMALL_CLIPS[clip](), mosaics=stage, close_ups=stage, contrastive=stage)


def run(spec: PretrainingSpec, folder: Path, num_updates: int | None = None) -> Path | None:
    answers = iter([False] * (num_updates - 1) + [True]) if num_updates else None
    stop = (lambda: next(answers)) if answers else (lambda: False)
    return pretrain(spec, folder, device=CPU, progress=lambda done, loss: None, stop=stop)


@pytest.mark.parametrize("num_updates", [1, 2, 5])
def test_pretrain_stopped_anywhere_ends_in_the_weights_of_an_undisturbed_run(tmp_path: Path, num_updates: int) -> None:
    undisturbed = run(small(), tmp_path / "undisturbed")

    assert run(small(), tmp_path / "stopped", num_updates) is None
    continued = run(small(), tmp_path / "stopped")

    assert undisturbed is not None
    assert continued is not None
    assert undisturbed.read_bytes() == continued.read_bytes()


def test_pretrain_every_stage_moves_both_towers(tmp_path: Path) -> None:
    spec = small()
    weights = run(spec, tmp_path)
    assert weights is not None
    trained = load_clip(spec.clip, weights).state_dict()
    torch.manual_seed(spec.seed)
    untrained = build_clip(spec.clip).state_dict()

    changed = {name for name in trained if not torch.allclose(trained[name], untrained[name], atol=1e-4)}
    assert any(name.startswith("visual.trunk.stem") for name in changed)
    assert "token_embedding.weight" in changed


def test_pretrain_finished_run_is_not_repeated(tmp_path: Path) -> None:
    weights = run(small(), tmp_path)
    assert weights is not None
    written = weights.stat().st_mtime_ns

    assert run(small(), tmp_path) == weights
    assert weights.stat().st_mtime_ns == written


def test_pretrain_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    run(small(), tmp_path, num_updates=1)

    with pytest.raises(InputError, match="holds another pre-training run"):
        run(replace(small(), seed=1), tmp_path)


def test_pretrain_whose_last_update_diverges_writes_nothing(tmp_path: Path) -> None:
    stage = ScheduleSpec(steps=1, batch_size=4, learning_rate=1e308)

    with pytest.raises(WorkError, match=r"after update 1 \S+ holds NaN or infinity"):
        run(replace(small(), mosaics=stage), tmp_path)

    assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".pt", ".safetensors")]
