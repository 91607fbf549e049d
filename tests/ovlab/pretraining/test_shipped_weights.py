"""The CLIP weights that come with the package are those of the model card, and can do what it says."""

import hashlib
import re

import pytest

from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import CLIP_WEIGHTS, shipped_clip
from logoseg.presets import PRESETS
from ovlab.pretraining.zero_shot import zero_shot_accuracy
from ovlab.shapes.world import UNSEEN_COMPOSITIONS

FILES = sorted(CLIP_WEIGHTS.glob("*.safetensors"))


def card_row(name: str) -> list[str]:
    """The cells of the row of the model card that is about `name`."""
    lines = (CLIP_WEIGHTS / "README.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if re.match(rf"\| {name} +\|", line)]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_shipped_weights_are_at_most_12_mib() -> None:
    assert FILES
    assert sum(path.stat().st_size for path in FILES) <= 12 * 2**20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_file_is_the_one_of_the_model_card(path) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card_row(path.stem)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_clip_names_held_out_close_ups_as_well_as_the_card_says(path) -> None:
    config = PRESETS[path.stem]().clip
    assert shipped_clip(config) == path

    accuracy = zero_shot_accuracy(load_clip(config, path).eval(), UNSEEN_COMPOSITIONS)

    said = [float(part) for part in card_row(path.stem)[4].split("/")]
    found = [100 * accuracy[kind] for kind in ("colour", "texture", "shape", "composition")]
    # One picture of 500 is 0.2; another machine may round a near tie the other way.
    assert found == pytest.approx(said, abs=0.7)
