"""ovlab.runs.identity: an identity holds names and digests, whatever place the data were opened from."""

import hashlib
from pathlib import Path

import pytest

import micro_run
from ovlab.runs.identity import resolve_training
from ovlab.specs.errors import InputError


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
