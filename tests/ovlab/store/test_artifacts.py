"""ovlab.store.artifacts: files come back as they went, or are refused; the newest sound checkpoint is found."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ovlab.files.sealed import pack_sealed
from ovlab.files.storage import Folder
from ovlab.store.artifacts import (
    fetch_newest_checkpoint,
    fetch_weights,
    keep_checkpoint,
    keep_weights,
    remove_checkpoints,
    weights_uri,
)
from ovlab.store.record import FORMAT, DamagedError, TrainingRecord, pack_record
from ovlab.store.store import Store, open_store

RUN = "f" * 64


def checkpoint(folder: Path, step: int, content: bytes = b"state") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    path.write_bytes(content + b"%d" % step)
    return path


def kept(store: Store) -> list[str]:
    return sorted(name[:13] for name in store.folder.sizes(f"trainings/{RUN}/checkpoints"))


def test_weights_come_back_as_they_went_and_are_copied_once(
    store: Store, tmp_path: Path, make_training: Callable[..., TrainingRecord]
) -> None:
    (tmp_path / "weights.safetensors").write_bytes(bytes(range(256)) * 100)
    fingerprint = make_training().fingerprint
    record = make_training(weights=keep_weights(store, fingerprint, tmp_path / "weights.safetensors"))

    path = fetch_weights(store, record, tmp_path / "cache")

    assert path.read_bytes() == bytes(range(256)) * 100
    assert record.weights.num_bytes == 25_600
    assert weights_uri(store, record).startswith(f"{store}/trainings/{fingerprint}/weights-")
    store.folder.remove_folder(f"trainings/{fingerprint}")
    assert fetch_weights(store, record, tmp_path / "cache") == path
    path.write_bytes(b"spoilt here")
    with pytest.raises(ValueError, match="not found"):
        fetch_weights(store, record, tmp_path / "cache")


def test_weights_fetched_by_several_at_once_are_whole_for_each(
    tmp_path: Path, make_training: Callable[..., TrainingRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"))
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    record = make_training(weights=keep_weights(store, make_training().fingerprint, tmp_path / "weights.safetensors"))
    download, all_have_it = Folder.download, threading.Barrier(3, timeout=20)

    def download_together(self: Folder, name: str, target: Path) -> None:
        download(self, name, target)
        all_have_it.wait()

    monkeypatch.setattr(Folder, "download", download_together)
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetch_weights(store, record, tmp_path / "cache"), range(3)))

    assert [path.read_bytes() for path in paths] == [b"weights"] * 3
    assert list((tmp_path / "cache").iterdir()) == [paths[0]]


def test_weights_damaged_in_the_store_are_refused_and_leave_nothing_here(
    store: Store, tmp_path: Path, make_training: Callable[..., TrainingRecord]
) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    fingerprint = make_training().fingerprint
    record = make_training(weights=keep_weights(store, fingerprint, tmp_path / "weights.safetensors"))
    store.folder.write(f"trainings/{fingerprint}/{record.weights.name}", b"weightz")

    with pytest.raises(DamagedError, match=r"weights-.*damaged"):
        fetch_weights(store, record, tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["../marker", "a/marker", "/marker", "..", ".marker", ""])
def test_weights_under_a_name_that_is_no_file_name_make_no_record(
    name: str, store: Store, make_training: Callable[..., TrainingRecord], caplog: pytest.LogCaptureFixture
) -> None:
    record = make_training()
    fields = json.loads(pack_record(record))["record"]
    fields["weights"]["name"] = name
    store.folder.write(f"trainings/{record.fingerprint}/record.json", pack_sealed(FORMAT, fields))

    assert store.training(record.fingerprint) is None
    assert list(store.trainings()) == []
    assert "the name of a stored file must be" in caplog.text


def test_checkpoint_newest_is_fetched_and_only_two_are_kept(store: Store, tmp_path: Path) -> None:
    for step in (3, 6, 9, 12):
        keep_checkpoint(store, RUN, checkpoint(tmp_path / "there", step))
    (tmp_path / "here").mkdir()

    path = fetch_newest_checkpoint(store, RUN, tmp_path / "here")

    assert kept(store) == ["step-00000009", "step-00000012"]
    assert path == tmp_path / "here" / "step-00000012.pt"
    assert path.read_bytes() == b"state12"
    remove_checkpoints(store, RUN)
    assert kept(store) == []


@pytest.mark.parametrize(("step_here", "fetched"), [(3, True), (6, False), (9, False)])
def test_checkpoint_is_fetched_only_where_none_as_new_is(
    store: Store, tmp_path: Path, step_here: int, fetched: bool
) -> None:
    keep_checkpoint(store, RUN, checkpoint(tmp_path / "there", 6))
    here = checkpoint(tmp_path / "here", step_here, b"own").parent

    assert (fetch_newest_checkpoint(store, RUN, here) is not None) is fetched


def test_checkpoint_damaged_in_the_store_gives_way_to_the_one_before(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (3, 6):
        keep_checkpoint(store, RUN, checkpoint(tmp_path / "there", step))
    (last,) = (name for name in store.folder.sizes(f"trainings/{RUN}/checkpoints") if "06-" in name)
    store.folder.write(f"trainings/{RUN}/checkpoints/{last}", b"half")
    (tmp_path / "here").mkdir()

    with caplog.at_level(logging.WARNING):
        path = fetch_newest_checkpoint(store, RUN, tmp_path / "here")

    assert path.name == "step-00000003.pt"
    assert last in caplog.text
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["step-00000003.pt"]


def test_checkpoint_of_a_run_without_any_is_none(store: Store, tmp_path: Path) -> None:
    assert fetch_newest_checkpoint(store, RUN, tmp_path) is None
