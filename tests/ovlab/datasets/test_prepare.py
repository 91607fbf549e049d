"""ovlab.datasets.prepare: what is written says what the originals hold, in the memory of a few samples."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.encoding import decode_label
from ovlab.datasets.manifest import content_digest, load_index, load_manifest
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.files.storage import Folder

MakeDownload = Callable[..., FolderSplit]
Contents = Callable[[Path], dict[str, bytes]]


def test_prepare_manifest_says_what_numpy_counts_in_the_originals(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(10)

    manifest = prepare(split, str(tmp_path / "out"), num_samples_per_shard=4).manifest

    raw = [np.asarray(Image.open(split.label_folder / f"{i}.png")) for i in split.sample_ids]
    assert manifest.class_pixels == tuple(sum(int((m == c).sum()) for m in raw) for c in range(5))
    assert manifest.num_ignored_pixels == sum(int((m == 255).sum()) for m in raw)
    assert (manifest.num_samples, manifest.num_bad_samples) == (10, 0)
    assert [shard.num_samples for shard in manifest.shards] == [4, 4, 2]
    for shard in manifest.shards:
        content = (tmp_path / "out" / shard.file).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (shard.sha256, shard.num_bytes)
    assert manifest.identity.class_names == split.class_names
    assert load_manifest(Folder(str(tmp_path / "out"))) == manifest


def test_prepare_images_are_the_downloads_bytes_and_labels_its_pixels(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(3)

    prepare(split, str(tmp_path / "out"))

    for row in pq.read_table(tmp_path / "out" / "shards" / "00000.parquet").to_pylist():
        assert row["image"] == (split.image_folder / f"{row['id']}.jpg").read_bytes()
        raw = np.asarray(Image.open(split.label_folder / f"{row['id']}.png")).astype(np.int64)
        np.testing.assert_array_equal(decode_label(row["label"], ""), np.where(raw == 255, IGNORE_INDEX, raw))
        assert (row["height"], row["width"]) == raw.shape


def test_prepare_final_folder_holds_nothing_else(
    make_download: MakeDownload, tmp_path: Path, contents: Contents
) -> None:
    prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=4)

    assert sorted(contents(tmp_path / "out")) == [
        "index.parquet",
        "manifest.json",
        "shards/00000.parquet",
        "shards/00001.parquet",
    ]


def test_prepare_to_a_bucket_is_equal_to_a_folder_to_the_byte(
    make_download: MakeDownload, tmp_path: Path, s3_bucket: str
) -> None:
    split = make_download(6)
    local, remote = Folder(str(tmp_path / "out")), Folder(f"s3://{s3_bucket}/sets/synthetic")

    prepare(split, local.uri, num_samples_per_shard=2)
    prepare(split, remote.uri, num_samples_per_shard=2, num_workers=2)

    assert prepare(split, remote.uri, num_samples_per_shard=2).num_written_shards == 0
    assert remote.sizes("unfinished") == {}
    for name in ("manifest.json", "index.parquet", *(f"shards/0000{i}.parquet" for i in range(3))):
        assert remote.read(name) == local.read(name), name
    assert remote.sizes().keys() == local.sizes().keys()


def test_content_digest_other_packing_of_the_same_samples_is_equal(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(5)

    one = prepare(split, str(tmp_path / "one"), num_samples_per_shard=2).manifest
    two = prepare(split, str(tmp_path / "two"), num_samples_per_shard=5).manifest

    assert one.content_digest == two.content_digest
    assert one.shards != two.shards
    index = load_index(Folder(str(tmp_path / "one")), one)
    assert content_digest(index) == one.content_digest != content_digest(index[::-1])


def test_prepare_and_read_four_times_the_images_needs_no_more_memory(tmp_path: Path) -> None:
    write_download(tmp_path / "large", num_images=240, height=256, width=384, num_classes=5)

    few, many = (_peak_memory(tmp_path / "large", tmp_path / f"out-{count}", count) for count in (60, 240))

    decoded = (240 - 60) * 256 * 384 * 5  # 88 MB: three bytes a pixel of the images, two of the labels
    assert many - few < decoded / 4


def _peak_memory(download: Path, out: Path, count: int) -> int:
    """Bytes resident at most in a process that prepares, streams and reads in random order."""
    program = (
        "import random\n"
        "from pathlib import Path\n"
        "from ovlab.benchmarks.synthetic_download import open_download\n"
        "from ovlab.datasets.prepare import prepare\n"
        "from ovlab.datasets.sharded import open_shards, stream\n"
        f"ids = tuple(f'{{i:06d}}' for i in range({count}))\n"
        f"prepare(open_download(Path({str(download)!r}), ids, 5), {str(out)!r}, num_samples_per_shard=20)\n"
        f"for sample in stream({str(out)!r}): pass\n"
        f"dataset = open_shards({str(out)!r})\n"
        "for index in random.Random(0).sample(range(len(dataset)), len(dataset)): dataset[index]\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return int(found) * 1024
