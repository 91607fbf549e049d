"""ovlab.datasets.digest: equal where the data are equal, wherever they lie; another one where anything has changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.digest import data_digest
from ovlab.datasets.folder import open_folder
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sample import Sample
from ovlab.datasets.sharded import ShardedDataset, open_shards
from ovlab.shapes.dataset import open_shapes


def write_folder(root: Path, names: str = '["sky", "road"]', stems: str = "ab", side: int = 8) -> Path:
    for kind in ("images", "labels"):
        (root / "val" / kind).mkdir(parents=True)
    (root / "classes.json").write_text(names)
    for stem in stems:
        Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(root / "val" / "images" / f"{stem}.png")
        Image.fromarray(np.zeros((side, side), np.uint8)).save(root / "val" / "labels" / f"{stem}.png")
    return root


def digest_of_folder(root: Path) -> str:
    return data_digest(open_folder(root, "val"))


def test_data_digest_of_a_copied_folder_is_equal(tmp_path: Path) -> None:
    shutil.copytree(write_folder(tmp_path / "here"), tmp_path / "there" / "other-name")

    assert digest_of_folder(tmp_path / "here") == digest_of_folder(tmp_path / "there" / "other-name")


@pytest.mark.parametrize(
    "change",
    [
        {"names": '["sky", "street"]'},
        {"names": '{"classes": ["sky", "road"], "ignore_index": 7}'},
        {"stems": "abc"},
        {"stems": "ac"},
        {"side": 64},
    ],
)
def test_data_digest_of_a_changed_folder_differs(tmp_path: Path, change: dict) -> None:
    write_folder(tmp_path / "before")
    write_folder(tmp_path / "after", **change)

    assert digest_of_folder(tmp_path / "before") != digest_of_folder(tmp_path / "after")


def shards(make_download: Callable[..., FolderSplit], place: Path, per_shard: int = 4, seed: int = 0) -> ShardedDataset:
    prepare(make_download(6, folder=f"download-{seed}", seed=seed), str(place), num_samples_per_shard=per_shard)
    return open_shards(str(place))


def test_data_digest_of_shards_is_that_of_their_pixels_and_not_of_their_packing(
    make_download: Callable[..., FolderSplit], tmp_path: Path
) -> None:
    base = shards(make_download, tmp_path / "base")

    assert data_digest(shards(make_download, tmp_path / "packed", per_shard=3)) == data_digest(base)
    assert data_digest(shards(make_download, tmp_path / "other", seed=1)) != data_digest(base)


def test_data_digest_of_shards_reads_no_shard(make_download: Callable[..., FolderSplit], tmp_path: Path) -> None:
    before = data_digest(shards(make_download, tmp_path / "base"))
    for file in (tmp_path / "base").rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            file.unlink()

    assert data_digest(open_shards(str(tmp_path / "base"))) == before


def test_data_digest_of_shapes_sets_is_one_for_each_split_and_length() -> None:
    sets = [
        open_shapes("shapes-coco", "train"),
        open_shapes("shapes-coco", "train", num_samples=50),
        open_shapes("shapes-coco", "val"),
        open_shapes("shapes-a-150", "val"),
        open_shapes("shapes-pas-20", "val"),
        open_shapes("shapes-pas-20b", "val"),
    ]

    assert len({data_digest(dataset) for dataset in sets}) == len(sets)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_data_digest_another_process_and_hash_seed_is_equal(hash_seed: str) -> None:
    program = (
        "from ovlab.datasets.digest import data_digest; from ovlab.shapes.dataset import open_shapes\n"
        "print(data_digest(open_shapes('shapes-a-847', 'val')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == data_digest(open_shapes("shapes-a-847", "val"))


class Unknown:
    """A data set of a kind that the module does not know."""

    name = "unknown"

    def __init__(self, class_names: tuple[str, ...], sample_ids: tuple[str, ...]) -> None:
        self.class_names, self.sample_ids = class_names, sample_ids

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, index: int) -> Sample:
        raise AssertionError("a digest reads no sample")


def test_data_digest_of_an_unknown_kind_is_over_ids_and_class_names() -> None:
    base = data_digest(Unknown(("sky",), ("1", "2")))

    assert data_digest(Unknown(("sky",), ("1", "2"))) == base
    assert data_digest(Unknown(("road",), ("1", "2"))) != base
    assert data_digest(Unknown(("sky",), ("2", "1"))) != base
    assert data_digest(Unknown(("sky",), ("12",))) != base
