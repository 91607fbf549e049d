"""Which released CLIP a file is: by its sha256, or by its place in the cache of the hub."""

import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from logoseg.clip.known_files import LAION, OPENAI, OWN, UNVERIFIED, Released, origin, require_origin
from logoseg.clip.shipped import RELEASED, shipped_clip
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS


@pytest.fixture
def vit() -> ClipConfig:
    return PRESETS["vit-b16"]().clip


def write(path: Path, content: bytes) -> str:
    """Write a file; its sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_released_files_are_those_whose_sha256_open_clip_checks() -> None:
    pretrained = pytest.importorskip("open_clip.pretrained")
    for model in ("ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-L-14-336"):
        digest, name = pretrained.get_pretrained_cfg(model, "openai")["url"].split("/")[-2:]
        assert OPENAI[digest] == Released(f"OpenAI's {name}", quick_gelu=True)
    for model in ("convnext_base_w_320", "convnext_large_d_320"):
        assert pretrained.get_pretrained_cfg(model, RELEASED[model])["hf_hub"].rstrip("/") in LAION


def test_known_file_is_named_and_nothing_is_assumed(
    vit: ClipConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "any-name.pt"
    monkeypatch.setitem(OPENAI, write(file, b"weights"), Released("OpenAI's ViT-B-16.pt", quick_gelu=True))

    require_origin(vit, file)

    assert origin(vit, file) == "OpenAI's ViT-B-16.pt"
    assert caplog.records == []


def test_known_file_under_a_model_of_another_activation_is_refused(
    vit: ClipConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ViT-B-16.pt"
    monkeypatch.setitem(OPENAI, write(file, b"weights"), Released("OpenAI's ViT-B-16.pt", quick_gelu=True))

    with pytest.raises(ModelError, match=r"with QuickGELU; ViT-B-16 has GELU\. The model for it is ViT-B-16-quick"):
        require_origin(replace(vit, name="ViT-B-16", pretrained=None), file)


def test_unknown_file_gets_one_warning_that_names_what_is_assumed(
    vit: ClipConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mine.pt"
    write(file, b"weights of one's own")

    with caplog.at_level(logging.WARNING):
        require_origin(vit, file)
        require_origin(vit, file)

    (warning,) = caplog.messages
    for word in ("mine.pt", "QuickGELU", "mean and standard deviation", "tokenizer", UNVERIFIED):
        assert word in warning
    assert origin(vit, file) == UNVERIFIED


@pytest.mark.parametrize(("damage", "found"), [(b"", True), (b"!", False)])
def test_file_in_the_cache_of_the_hub_is_known_by_its_place_if_it_is_whole(
    damage: bytes, found: bool, tmp_path: Path
) -> None:
    convnext = PRESETS["convnext-b"]().clip
    (name, *_) = LAION
    folder = tmp_path / f"models--{name.replace('/', '--')}"
    blob = folder / "blobs" / hashlib.sha256(b"weights").hexdigest()
    write(blob, b"weights" + damage)
    link = folder / "snapshots" / "main" / "open_clip_model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)

    assert origin(convnext, link) == (name if found else UNVERIFIED)


def test_weights_of_the_package_need_no_origin(caplog: pytest.LogCaptureFixture) -> None:
    clip = PRESETS["shapes-vit-s"]().clip
    shipped = shipped_clip(clip)
    assert shipped is not None

    require_origin(clip, shipped)

    assert origin(clip, shipped) == OWN
    assert caplog.records == []


def test_file_written_anew_is_read_anew(vit: ClipConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pt"
    write(file, b"first")
    assert origin(vit, file) == UNVERIFIED
    monkeypatch.setitem(OPENAI, write(file, b"second"), Released("second", quick_gelu=True))
    os.utime(file, ns=(1, 1))

    assert origin(vit, file) == "second"
