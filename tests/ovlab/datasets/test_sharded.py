"""ovlab.datasets.sharded: any order, any process, any number of threads gives the samples of the original."""

import hashlib
import json
import multiprocessing
import os
import pickle
import random
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets import sharded
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sample import IGNORE_INDEX, Sample, SegmentationDataset
from ovlab.datasets.sharded import ShardedDataset, open_shards, stream
from ovlab.datasets.shards import pack_shard
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

NUM_SAMPLES = 11


@pytest.fixture
def split(make_download: Callable[..., FolderSplit]) -> FolderSplit:
    return make_download(NUM_SAMPLES)


@pytest.fixture(params=["local", "s3"])
def uri(request: pytest.FixtureRequest, split: FolderSplit, tmp_path: Path) -> str:
    place = (
        str(tmp_path / "out") if request.param == "local" else f"s3://{request.getfixturevalue('s3_bucket')}/synthetic"
    )
    prepare(split, place, num_samples_per_shard=4)
    return place


@pytest.fixture
def local_uri(split: FolderSplit, tmp_path: Path) -> str:
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=4)
    return str(tmp_path / "out")


def original(split: FolderSplit, sample_id: str) -> Sample:
    """The sample straight from the downloaded files."""
    raw = np.asarray(Image.open(split.label_folder / f"{sample_id}.png")).astype(np.uint16)
    image = np.asarray(Image.open(split.image_folder / f"{sample_id}.jpg"))
    return Sample(id=sample_id, image=image, label=np.where(raw == 255, IGNORE_INDEX, raw).astype(np.uint16))


def assert_equal(found: Sample, expected: Sample) -> None:
    assert found.id == expected.id
    np.testing.assert_array_equal(found.image, expected.image)
    np.testing.assert_array_equal(found.label, expected.label)


def test_sharded_dataset_any_order_is_the_original_pixel_by_pixel(uri: str, split: FolderSplit) -> None:
    dataset: SegmentationDataset = open_shards(uri)
    order = list(range(NUM_SAMPLES))
    random.Random(0).shuffle(order)

    assert len(dataset) == NUM_SAMPLES
    assert (dataset.name, dataset.class_names, dataset.sample_ids) == (split.name, split.class_names, split.sample_ids)
    for index in order:
        assert_equal(dataset[index], original(split, split.sample_ids[index]))


def test_stream_all_shards_is_every_sample_in_order(uri: str, split: FolderSplit) -> None:
    samples = list(stream(uri, num_threads=2))

    assert [sample.id for sample in samples] == list(split.sample_ids)
    for sample in samples:
        assert_equal(sample, original(split, sample.id))


def test_stream_chosen_shards_is_their_samples(local_uri: str) -> None:
    assert [sample.id for sample in stream(local_uri, shards=(2, 0))] == [f"{i:06d}" for i in (8, 9, 10, 0, 1, 2, 3)]
    assert list(stream(local_uri, shards=())) == []


def test_stream_left_early_ends_its_threads(local_uri: str) -> None:
    before = threading.active_count()
    samples = stream(local_uri)
    next(samples)
    samples.close()  # type: ignore[attr-defined]

    assert threading.active_count() == before


@pytest.mark.parametrize("index", [-1, NUM_SAMPLES, 10**6])
def test_sharded_dataset_index_outside_is_an_index_error(local_uri: str, index: int) -> None:
    with pytest.raises(IndexError, match=f"no sample {index}; it has {NUM_SAMPLES}"):
        open_shards(local_uri)[index]


def test_sharded_dataset_iterated_ends(local_uri: str) -> None:
    assert len(list(open_shards(local_uri))) == NUM_SAMPLES  # type: ignore[call-overload]


def test_sharded_dataset_with_bad_samples_left_out_keeps_rows_and_ids_together(
    split: FolderSplit, tmp_path: Path
) -> None:
    for sample_id in ("000000", "000004", "000005", "000006", "000007", "000009"):
        (split.label_folder / f"{sample_id}.png").unlink()  # the second shard has no row at all
    prepare(split, str(tmp_path / "out"), skip_bad=True, num_samples_per_shard=4)

    dataset = open_shards(str(tmp_path / "out"))

    assert dataset.sample_ids == ("000001", "000002", "000003", "000008", "000010")
    assert [dataset[i].id for i in range(5)] == list(dataset.sample_ids)
    assert [sample.id for sample in stream(str(tmp_path / "out"))] == list(dataset.sample_ids)


def test_sharded_dataset_many_threads_give_each_its_own_sample(
    local_uri: str, split: FolderSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded, "MAX_OPEN_SHARDS", 1)  # every thread closes the others' shards
    dataset = open_shards(local_uri)
    wanted = [random.Random(i).randrange(NUM_SAMPLES) for i in range(200)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(dataset.row, wanted))

    assert [row.id for row in found] == [split.sample_ids[i] for i in wanted]


def test_sharded_dataset_keeps_a_bounded_number_of_files_open(local_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "MAX_OPEN_SHARDS", 2)
    dataset = open_shards(local_uri)
    dataset[0]
    one = len(os.listdir("/proc/self/fd"))
    for index in list(range(NUM_SAMPLES)) * 3:
        dataset[index]

    assert len(os.listdir("/proc/self/fd")) <= one + 1


def test_sharded_dataset_pickled_copy_is_small_and_reads_the_same(uri: str) -> None:
    dataset = open_shards(uri)
    first = dataset[0]
    dataset.sample_ids
    content = pickle.dumps(dataset)

    assert_equal(pickle.loads(content)[0], first)
    assert len(content) < 5000, "open files, the index or pixels travel with the pickle"


def test_sharded_dataset_forked_copies_read_the_same(uri: str, split: FolderSplit) -> None:
    dataset = open_shards(uri)
    dataset[0]  # open files and, on S3, a running event loop before the fork
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[list[str]] = context.SimpleQueue()
    children = [context.Process(target=_ids, args=(dataset, order, results)) for order in ((0, 10, 5), (7, 1, 9))]
    for child in children:
        child.start()
    found = sorted(results.get() for _ in children)
    for child in children:
        child.join()

    assert found == [["000000", "000010", "000005"], ["000007", "000001", "000009"]]


def _ids(dataset: ShardedDataset, order: tuple[int, ...], results: "multiprocessing.SimpleQueue[list[str]]") -> None:
    results.put([dataset[index].id for index in order])


def test_sharded_dataset_one_sample_from_a_bucket_reads_its_bytes_and_not_the_shard(
    split: FolderSplit, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(split, f"s3://{s3_bucket}/x", num_samples_per_shard=11)
    ranges: list[int] = []
    fetch = Folder._read_range

    def counted(self: Folder, name: str, start: int, end: int) -> bytes:
        ranges.append(end - start)
        return fetch(self, name, start, end)

    monkeypatch.setattr(Folder, "_read_range", counted)
    dataset = open_shards(f"s3://{s3_bucket}/x")
    dataset[0]
    ranges.clear()
    row = dataset.row(7)

    assert len(ranges) == 1, "one request a sample"
    assert sum(ranges) < len(row.image) + len(row.label) + 1000


def test_sharded_dataset_flipped_byte_is_refused_with_shard_and_row(local_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / "shards" / "00001.parquet"
    content = bytearray(path.read_bytes())
    image = open_shards(local_uri).row(6).image
    content[bytes(content).index(image) + len(image) // 2] ^= 4
    path.write_bytes(content)

    dataset = open_shards(local_uri)
    assert dataset[5].id == "000005"
    with pytest.raises(InputError, match=r"00001\.parquet, row 2: cannot be read"):
        dataset[6]
    with pytest.raises(InputError, match=r"00001\.parquet: damaged"):
        list(stream(local_uri))


def test_open_shards_where_nothing_is_prepared_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prepared data here.*ovlab data prepare"):
        open_shards(str(tmp_path))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"manifest": {"identity": {"preparation_version": 1}}}', '{"manifest": 1}', "\x00"]
)
def test_open_shards_manifest_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(InputError, match=r"manifest\.json: not a manifest"):
        open_shards(str(tmp_path))


def test_open_shards_changed_manifest_is_refused(local_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / "manifest.json"
    path.write_text(path.read_text().replace("class 3", "class 8"))

    with pytest.raises(InputError, match=r"manifest\.json: damaged"):
        open_shards(local_uri)


@pytest.mark.parametrize("file", ["../marker.parquet", "shards/../../1.parquet", "/1.parquet", "index.parquet"])
def test_open_shards_manifest_that_names_another_file_is_refused(local_uri: str, tmp_path: Path, file: str) -> None:
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())["manifest"]
    manifest["shards"][0]["file"] = file
    content = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    path.write_text(json.dumps({"manifest": manifest, "sha256": hashlib.sha256(content.encode()).hexdigest()}))

    with pytest.raises(InputError, match=rf"manifest\.json.*a shard must be named.*{re.escape(file)}"):
        open_shards(local_uri)


def test_open_shards_other_preparation_version_is_refused(local_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / "manifest.json"
    path.write_text(path.read_text().replace('"preparation_version": 1', '"preparation_version": 99'))

    with pytest.raises(InputError, match="preparation version 99"):
        open_shards(local_uri)


def test_sample_that_stands_in_place_of_another_is_refused(local_uri: str, tmp_path: Path) -> None:
    dataset = open_shards(local_uri)
    rows = [dataset.row(index) for index in range(4)]
    mixed = [rows[0], rows[1]._replace(label=rows[2].label), *rows[2:]]
    (tmp_path / "out" / "shards" / "00000.parquet").write_bytes(pack_shard(mixed))  # every checksum of a page holds

    dataset = open_shards(local_uri)

    assert dataset[0].id == "000000"
    with pytest.raises(InputError, match="sample 000001: damaged"):
        dataset[1]
