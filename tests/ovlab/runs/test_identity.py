"""ovlab.runs.identity: an identity holds names and digests, whatever place the data were opened from."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

import micro_run
from ovlab.files.cache import text_cache_folder
from ovlab.runs.identity import resolve_evaluation, resolve_training
from ovlab.shapes.dataset import ShapesDataset, open_shapes
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Scoring, evaluation_fingerprint, sliding_window, whole
from ovlab.specs.fingerprint import canonical_json


def test_resolve_training_names_the_data_set_and_the_digests(tmp_path: Path) -> None:
    dataset = micro_run.training_data()
    clip_file = tmp_path / "clip.pt"
    clip_file.write_bytes(b"weights")

    plain, on_clip = (resolve_training(micro_run.spec(), dataset, file) for file in (None, clip_file))

    assert plain.spec.dataset == dataset.name
    assert plain.data_digest == dataset.digest
    assert plain.weights_digest is None
    assert on_clip.weights_digest == hashlib.sha256(b"weights").hexdigest()


def test_resolve_training_missing_clip_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        resolve_training(micro_run.spec(), micro_run.training_data(), tmp_path / "none.pt")


def test_code_that_predicts_otherwise_makes_another_evaluation_and_other_text(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_shapes("shapes-pas-20", "val", num_samples=4)

    def found() -> tuple[str, Path]:
        return evaluation_fingerprint(resolve_evaluation("a" * 64, dataset, "val", whole(64))), text_cache_folder()

    before = found()
    for module in ("ovlab.runs.identity", "ovlab.files.cache"):
        monkeypatch.setattr(f"{module}.PREDICTION_VERSION", 99)

    assert len({*before, *found()}) == 4


def test_headline_that_no_figure_is_made_by_is_refused() -> None:
    dataset = open_shapes("shapes-pas-20", "val", num_samples=4)
    legacy = replace(whole(64), scoring=Scoring(headline="ground_truth_or_prediction"))

    with pytest.raises(InputError, match="the other is legacy_miou"):
        resolve_evaluation("a" * 64, dataset, "val", legacy)


@pytest.mark.parametrize(("width", "bound"), [(640, None), (685, None), (686, 4096), (2000, 4096)])
def test_bound_of_the_long_side_is_identity_where_it_squeezes_a_picture(
    monkeypatch: pytest.MonkeyPatch, width: int, bound: int | None
) -> None:
    """At a short side of 384, 64 x 685 pixels are 4110 wide, which is rounded to 4096 without any bound."""
    monkeypatch.setattr(ShapesDataset, "shapes", ((64, 64), (64, width)))
    pictures = open_shapes("shapes-pas-20", "val", num_samples=2)

    spec = resolve_evaluation("a" * 64, pictures, "val", whole(384))

    assert spec.longest_side == bound
    assert ("longest_side" in canonical_json(spec)) == (bound is not None)
    assert resolve_evaluation("a" * 64, pictures, "val", sliding_window()).longest_side is None
