"""What every kind of data set says of itself, the same today as when the results in people's stores were made.

A digest is equal where the data are equal, wherever they lie, and another one where anything has changed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.folder import FolderDataset, open_folder
from ovlab.datasets.original import FolderSplit, OriginalPair
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sample import IGNORE_INDEX, SegmentationDataset
from ovlab.datasets.selection import Selection, first_samples
from ovlab.datasets.sharded import ShardedDataset, open_shards
from ovlab.runs.identity import resolve_evaluation, resolve_training
from ovlab.shapes.dataset import open_shapes
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, shapes_benchmark
from ovlab.specs.evaluation import evaluation_fingerprint
from ovlab.specs.resolved import training_fingerprint
from ovlab.specs.suite import PAPER, SHAPES


def write_folder(root: Path, names: str = '["sky", "road"]', stems: str = "ab", side: int = 8) -> Path:
    for kind in ("images", "labels"):
        (root / "val" / kind).mkdir(parents=True)
    (root / "classes.json").write_text(names)
    for stem in stems:
        Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(root / "val" / "images" / f"{stem}.png")
        Image.fromarray(np.zeros((side, side), np.uint8)).save(root / "val" / "labels" / f"{stem}.png")
    return root


def digest_of_folder(root: Path) -> str:
    return open_folder(root, "val").digest


def test_digest_of_a_copied_folder_is_equal(tmp_path: Path) -> None:
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
def test_digest_of_a_changed_folder_differs(tmp_path: Path, change: dict) -> None:
    write_folder(tmp_path / "before")
    write_folder(tmp_path / "after", **change)

    assert digest_of_folder(tmp_path / "before") != digest_of_folder(tmp_path / "after")


def shards(make_download: Callable[..., FolderSplit], place: Path, per_shard: int = 4, seed: int = 0) -> ShardedDataset:
    prepare(make_download(6, folder=f"download-{seed}", seed=seed), str(place), num_samples_per_shard=per_shard)
    return open_shards(str(place))


def test_digest_of_shards_is_that_of_their_pixels_and_not_of_their_packing(
    make_download: Callable[..., FolderSplit], tmp_path: Path
) -> None:
    base = shards(make_download, tmp_path / "base")

    assert shards(make_download, tmp_path / "packed", per_shard=3).digest == base.digest
    assert shards(make_download, tmp_path / "other", seed=1).digest != base.digest


def test_digest_of_shards_reads_no_shard(make_download: Callable[..., FolderSplit], tmp_path: Path) -> None:
    before = shards(make_download, tmp_path / "base").digest
    for file in (tmp_path / "base").rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            file.unlink()

    assert open_shards(str(tmp_path / "base")).digest == before


def test_digest_of_shapes_sets_is_one_for_each_split_and_length() -> None:
    sets = [
        open_shapes("shapes-coco", "train"),
        open_shapes("shapes-coco", "train", num_samples=50),
        open_shapes("shapes-coco", "val"),
        open_shapes("shapes-a-150", "val"),
        open_shapes("shapes-pas-20", "val"),
        open_shapes("shapes-pas-20b", "val"),
    ]

    assert len({dataset.digest for dataset in sets}) == len(sets)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_digest_in_another_process_and_hash_seed_is_equal(hash_seed: str) -> None:
    program = "from ovlab.shapes.dataset import open_shapes; print(open_shapes('shapes-a-847', 'val').digest)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == open_shapes("shapes-a-847", "val").digest


class Written:
    """A split of two samples whose bytes depend on no version of a library."""

    split, sample_ids, expected_count, notes = "val", ("a", "b"), 2, ()

    def __init__(self, name: str, class_names: tuple[str, ...]) -> None:
        self.name, self.class_names = name, class_names

    def read(self, sample_id: str) -> OriginalPair:
        photograph = b"P6 2 1 255\n" + 6 * sample_id.encode()
        return OriginalPair(sample_id, photograph, np.array([[0, IGNORE_INDEX]], np.uint16))


def prepared(place: Path, name: str, class_names: tuple[str, ...]) -> ShardedDataset:
    prepare(Written(name, class_names), str(place))
    return open_shards(str(place))


def folder(root: Path, classes: object) -> FolderDataset:
    """Two pairs of files of known sizes, which nobody can decode."""
    for kind, suffix, size in (("images", "jpg", 5), ("labels", "png", 7)):
        (root / "val" / kind).mkdir(parents=True)
        for more, stem in enumerate("ab"):
            (root / "val" / kind / f"{stem}.{suffix}").write_bytes(bytes(size + more))
    (root / "classes.json").write_text(json.dumps(classes))
    return open_folder(root, "val")


def label_names(name: str) -> tuple[str, ...]:
    entries, background = DATASETS[name].prompt_entries, DATASETS[name].background
    return entries if background is None else (*entries[:background], "background")


# Data set, its digest, and that of its label space with the first synonym and with all of them: 16 digits each, as they
# were before a data set carried them. A result in a store is found by these.
SHAPES_PINNED = {
    "shapes-coco train": ("ae1b291d57f91875", "8f444c1722f360a4", "8f444c1722f360a4"),
    "shapes-coco val": ("fb7163712449a99d", "8f444c1722f360a4", "8f444c1722f360a4"),
    "shapes-a-847 val": ("d9d452d52873ccd7", "5baca2fab37f569c", "5baca2fab37f569c"),
    "shapes-pc-459 val": ("60caab7889d2f5ca", "98d53eab14734b78", "98d53eab14734b78"),
    "shapes-a-150 train": ("b2b5ee3219bed804", "96dcd921cc1bb595", "96dcd921cc1bb595"),
    "shapes-a-150 val": ("2a00cdf8fb2cfa8b", "aa0f499cc7db2cc8", "aa0f499cc7db2cc8"),
    "shapes-pc-59 train": ("0341b785d4c68a2a", "4caf51649e964a79", "4caf51649e964a79"),
    "shapes-pc-59 val": ("6c3555169c99866c", "2c4f0c956492a5c4", "2c4f0c956492a5c4"),
    "shapes-pas-20 val": ("c2838ebe54f72d2f", "d2a2375979c5152b", "d2a2375979c5152b"),
    "shapes-pas-20b val": ("00a8aec271fca92c", "a798ada45cc70f48", "a798ada45cc70f48"),
}
PREPARED_PINNED = {
    "coco-stuff": ("04c787432e8dfb5b", "985fc38b4f9156e9", "985fc38b4f9156e9"),
    "a-847": ("3df0705cc9bde338", "5864dcf740f01948", "e4b5345dc3fa35d9"),
    "pc-459": ("c3a872018afd9973", "67ba051fbf29da65", "67ba051fbf29da65"),
    "a-150": ("e98d67e281829a87", "8f9996ac1df82170", "8f9996ac1df82170"),
    "pc-59": ("3e10677b89fff07f", "bfebb1f5843f140c", "bfebb1f5843f140c"),
    "pas-20": ("7aed12714ebc0c66", "68e8848837716818", "68e8848837716818"),
    "pas-20b": ("9da395fac4183aa2", "dd9604a3dd073e63", "dd9604a3dd073e63"),
    "shapes-pas-20b": ("a459dd147b32a9e3", "a798ada45cc70f48", "a798ada45cc70f48"),
    "shapes-a-150": ("2c1718d590ce0786", "96dcd921cc1bb595", "96dcd921cc1bb595"),
    "street": ("e8f02b85bf4ca0e4", "94b78f1d1eed80ce", "94b78f1d1eed80ce"),
}


def pins(dataset: SegmentationDataset) -> tuple[str, ...]:
    spaces = [dataset.label_space(rule).digest for rule in ("first", "average")]
    return tuple(digest[:16] for digest in (dataset.digest, *spaces))


@pytest.mark.parametrize("name", SHAPES_PINNED)
def test_digests_of_the_shapes_sets_are_those_of_before(name: str) -> None:
    assert pins(open_shapes(*name.split())) == SHAPES_PINNED[name]


def test_every_split_of_the_shapes_sets_is_pinned() -> None:
    assert set(SHAPES_PINNED) == {f"{name} {split}" for name in SHAPES_NAMES for split in shapes_benchmark(name).splits}


@pytest.mark.parametrize("name", PREPARED_PINNED)
def test_digests_of_prepared_sets_are_those_of_before(tmp_path: Path, name: str) -> None:
    if name in DATASETS:
        class_names = label_names(name)
    else:
        class_names = {
            "shapes-pas-20b": open_shapes("shapes-pas-20b", "val").class_names,
            "shapes-a-150": open_shapes("shapes-a-150", "train").class_names,
            "street": ("road", "sky, clouds"),
        }[name]

    assert pins(prepared(tmp_path, name, class_names)) == PREPARED_PINNED[name]


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("mine", ["road", "sky, clouds"], ("b7a3ff6a9be86bd5", "94b78f1d1eed80ce", "94b78f1d1eed80ce")),
        (
            "mine",
            {"classes": ["road", "sky, clouds"], "ignore_index": 7},
            ("eb1d2c49759d37c9", "94b78f1d1eed80ce", "94b78f1d1eed80ce"),
        ),
        ("pas-20", list(label_names("pas-20")), ("988cb42c30c7b42a", "68e8848837716818", "68e8848837716818")),
    ],
    ids=["plain", "ignored", "benchmark"],
)
def test_digests_of_folders_are_those_since_they_are_of_all_bytes(
    tmp_path: Path, name: str, classes: object, expected: tuple[str, ...]
) -> None:
    assert pins(folder(tmp_path / name, classes)) == expected


def test_fingerprints_of_the_suites_are_those_of_before(tmp_path: Path) -> None:
    training = training_fingerprint(resolve_training(SHAPES.training(), open_shapes("shapes-coco", "train")))
    on_shapes, on_voc = (
        evaluation_fingerprint(resolve_evaluation("0" * 64, dataset, "val", suite.protocol()))
        for suite, dataset in (
            (SHAPES, open_shapes("shapes-pas-20b", "val")),
            (PAPER, prepared(tmp_path, "pas-20b", label_names("pas-20b"))),
        )
    )

    assert training.startswith("5406e7b6a9e7a6bb")
    assert on_shapes.startswith("d54330e099ffd8da")
    assert on_voc.startswith("23fd6ca5f4d65fb3")


def test_shapes_are_known_of_every_kind_and_of_what_is_selected(tmp_path: Path) -> None:
    stored, painted = prepared(tmp_path / "stored", "street", ("road",)), open_shapes("shapes-a-150", "val")

    assert list(stored.shapes) == [(1, 2), (1, 2)]
    assert list(painted.shapes) == [(96, 96)] * 300
    assert list(Selection(stored, (1,)).shapes) == [(1, 2)]
    assert folder(tmp_path / "broken", ["road"]).shapes is None
    mine = folder(tmp_path / "mine", ["road"])
    for pair, size in zip(mine.pairs, [(4, 3), (5, 2)], strict=True):
        Image.new("L", size).save(pair.label)
    assert list(mine.shapes) == [(3, 4), (2, 5)]


def test_a_folder_says_itself_what_training_has_named(tmp_path: Path) -> None:
    """Also where it is called like a benchmark."""
    classes = {"classes": list(label_names("pas-20")), "seen": ["aeroplane"]}
    mine, alike, smaller = (
        folder(tmp_path / f"{index}" / "pas-20", said)
        for index, said in enumerate([classes, classes["classes"], ["aeroplane", "car"]])
    )

    assert mine.seen.tolist() == [True] + [False] * 19
    assert alike.seen.tolist() == [True] * 20
    assert smaller.seen is None
    assert first_samples(mine, 1).seen.tolist() == mine.seen.tolist()
