"""ovlab.runs.subject: whose weights they are."""

import shutil
from pathlib import Path

import pytest

import micro_run
from logoseg.model_error import ModelError
from ovlab.files.sealed import DamagedError
from ovlab.runs.subject import find_subject
from ovlab.store.store import open_store


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_weights_of_a_run_folder_that_are_damaged_are_nobodys(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record = micro_run.micro_training(open_store(str(run)), run)  # the run folder is the store
    assert find_subject(str(run)).fingerprint == record.fingerprint
    shutil.copy(run / "weights.safetensors", tmp_path / "alone.safetensors")
    changed(run / "weights.safetensors")
    changed(tmp_path / "alone.safetensors")

    with pytest.raises(DamagedError, match=r"weights\.safetensors: not the weights in which a training of .* ended"):
        find_subject(str(run))
    with pytest.raises(ModelError, match=r"alone\.safetensors: damaged"):
        find_subject(str(tmp_path / "alone.safetensors"))

    (run / "weights.safetensors").unlink()
    assert find_subject(str(run)).fingerprint == record.fingerprint
