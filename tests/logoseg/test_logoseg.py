"""`import logoseg`, as somebody uses it who has a run folder or a preset and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import logoseg
from logoseg.checkpoint import save_weights
from logoseg.model_error import ModelError


def test_import_takes_neither_torch_nor_open_clip_before_the_network_is_asked_for() -> None:
    code = (
        "import sys, logoseg\n"
        "config = logoseg.vit_b16()\n"
        "print([name for name in ('torch', 'open_clip', 'timm') if name in sys.modules])\n"
        "logoseg.LoGoSeg\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split("\n")[:2] == ["[]", "True"]


def test_network_of_a_run_folder_predicts_what_the_saved_one_does(tmp_path: Path) -> None:
    config = logoseg.shapes_vit_s()
    network = logoseg.LoGoSeg(config).eval()
    save_weights(network, config, ["road", "sky"], tmp_path / "weights.safetensors")
    images = torch.rand(2, 3, 96, 96)

    for place in (tmp_path, str(tmp_path / "weights.safetensors")):
        loaded = logoseg.load(place)

        text = loaded.encode_text(["road", "red circle", "sky"])
        assert not loaded.training
        assert torch.equal(loaded(images, text), network(images, text))


@pytest.mark.parametrize("name", ["", "no-such-run"])
def test_load_where_no_weights_are_says_where_it_looked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=str(tmp_path / name)):
        logoseg.load(tmp_path / name)


def test_every_public_name_is_there_and_every_preset_is_public() -> None:
    assert set(logoseg.__all__) <= set(dir(logoseg))
    assert all(getattr(logoseg, name) is not None for name in logoseg.__all__)
    assert {preset.__name__ for preset in logoseg.PRESETS.values()} <= set(logoseg.__all__)


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        logoseg.nonsense
