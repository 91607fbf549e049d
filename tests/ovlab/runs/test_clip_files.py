"""ovlab.runs.clip_files: which weights a training starts from, and what is refused."""

from pathlib import Path

import open_clip
import pytest

from logoseg.clip.shipped import RELEASED, shipped_clip
from logoseg.presets import PRESETS
from ovlab.runs.clip_files import RANDOM, clip_file
from ovlab.specs.errors import InputError


def file_of(preset: str, given: str | None = None) -> Path | None:
    return clip_file(preset, PRESETS[preset]().clip, given)


def test_a_file_that_is_given_comes_before_those_of_the_package(tmp_path: Path) -> None:
    given = tmp_path / "clip.pt"
    given.touch()

    assert file_of("vit-b16", str(given)) == given
    assert file_of("shapes-vit-s", str(given)) == given
    assert file_of("shapes-vit-s") == shipped_clip(PRESETS["shapes-vit-s"]().clip)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_random_weights_are_for_the_asking(preset: str) -> None:
    assert file_of(preset, RANDOM) is None


def test_a_model_that_was_never_pretrained_starts_from_random_weights() -> None:
    assert file_of("tiny") is None


@pytest.mark.parametrize("preset", ["vit-b16", "vit-l14", "convnext-b", "convnext-l"])
def test_a_model_of_the_paper_does_not_silently_start_from_random_weights(preset: str) -> None:
    tag = RELEASED[PRESETS[preset]().clip.name]

    with pytest.raises(InputError, match=rf'{preset}: .*"{tag}".* give --clip FILE, or --clip none'):
        file_of(preset)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"--clip nowhere\.pt: no such file"):
        file_of("tiny", "nowhere.pt")


@pytest.mark.parametrize(("model", "tag"), RELEASED.items())
def test_released_weights_are_where_open_clip_finds_them(model: str, tag: str) -> None:
    assert open_clip.get_pretrained_cfg(model, tag)["hf_hub"]
