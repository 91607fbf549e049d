"""ovlab.datasets.prepare: the same bytes however often it was killed, and never anything half done or dropped."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.encoding import decode_label
from ovlab.datasets.manifest import content_digest, load_index, load_manifest
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.sharded import open_shards
from ovlab.specs.errors import InputError
from ovlab.storage import Folder

MakeDownload = Callable[..., FolderSplit]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def replaced(original: FolderSplit, **changes: object) -> FolderSplit:
    values = {field: getattr(original, field) for field in FolderSplit.__dataclass_fields__}
    return FolderSplit(**{**values, **changes})  # type: ignore[arg-type]


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


def test_prepare_final_folder_holds_nothing_else(make_download: MakeDownload, tmp_path: Path) -> None:
    prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=4)

    assert sorted(contents(tmp_path / "out")) == [
        "index.parquet",
        "manifest.json",
        "shards/00000.parquet",
        "shards/00001.parquet",
    ]


def test_prepare_two_workers_is_equal_to_one_to_the_byte(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(10)
    spoil(split)

    prepare(split, str(tmp_path / "one"), num_samples_per_shard=3, skip_bad=True)
    prepare(split, str(tmp_path / "two"), num_samples_per_shard=3, skip_bad=True, num_workers=2)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_prepare_killed_again_and_again_ends_with_the_bytes_of_one_run(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(12)
    prepare(split, str(tmp_path / "whole"), num_samples_per_shard=1)
    program = tmp_path / "slow_preparation.py"
    program.write_text(SLOW_PREPARATION)
    command = [sys.executable, str(program), str(tmp_path / "download"), str(tmp_path / "killed")]
    shards = tmp_path / "killed" / "shards"

    finished_before_kill = []
    for _ in range(2):
        process = subprocess.Popen(command)
        there = len(list(shards.glob("*.parquet")))
        deadline = time.monotonic() + 60
        while len(list(shards.glob("*.parquet"))) < there + 3 and process.poll() is None:
            assert time.monotonic() < deadline, "the preparation makes no progress"
            time.sleep(0.005)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert workers
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < deadline, "workers outlive the killed preparation"
            time.sleep(0.005)
        finished_before_kill.append({path: path.stat().st_mtime_ns for path in shards.glob("*.parquet")})
        assert not (tmp_path / "killed" / "manifest.json").exists()
        for path in shards.glob("*.parquet"):
            assert path.read_bytes() == (tmp_path / "whole" / "shards" / path.name).read_bytes()
    done = {path.stem for path in (tmp_path / "killed" / "unfinished").glob("0*.json")}
    result = prepare(split, str(tmp_path / "killed"), num_samples_per_shard=1)

    assert len(done) >= 5
    assert result.num_written_shards <= 12 - len(done)
    for path, written in finished_before_kill[-1].items():
        assert path.stem not in done or path.stat().st_mtime_ns == written, "a finished shard was made again"
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


# Two real worker processes, slowed down so that a kill falls into the middle.
SLOW_PREPARATION = """
import sys, time
from pathlib import Path
from ovlab.benchmarks.synthetic_download import open_download
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare

read = FolderSplit.read

def read_slowly(split, sample_id):
    time.sleep(0.1)
    return read(split, sample_id)

FolderSplit.read = read_slowly
if __name__ == "__main__":
    split = open_download(Path(sys.argv[1]), tuple(f"{i:06d}" for i in range(12)), 5)
    prepare(split, sys.argv[2], num_workers=2, num_samples_per_shard=1)
"""


def test_prepare_again_does_nothing(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(5)
    first = prepare(split, str(tmp_path / "out"))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}

    second = prepare(split, str(tmp_path / "out"))

    assert (first.num_written_shards, second.num_written_shards) == (1, 0)
    assert second.manifest == first.manifest
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_prepare_killed_after_the_manifest_is_tidied_by_the_next_call(
    make_download: MakeDownload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_download(5)
    monkeypatch.setattr(Folder, "remove_folder", lambda self, folder: None)
    prepare(split, str(tmp_path / "out"))
    monkeypatch.undo()
    assert (tmp_path / "out" / "unfinished").exists()

    assert prepare(split, str(tmp_path / "out")).num_written_shards == 0
    assert not (tmp_path / "out" / "unfinished").exists()


def test_prepare_lost_shard_of_an_unfinished_preparation_is_made_again(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(5)
    prepare(split, str(tmp_path / "whole"), num_samples_per_shard=2)
    (split.label_folder / "000004.png").rename(tmp_path / "away.png")
    with pytest.raises(InputError, match="000004"):
        prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)
    (tmp_path / "away.png").rename(split.label_folder / "000004.png")
    shard = tmp_path / "out" / "shards" / "00000.parquet"
    shard.write_bytes(shard.read_bytes()[:100])

    assert prepare(split, str(tmp_path / "out"), num_samples_per_shard=2).num_written_shards == 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "other"}, "name was synthetic, now other"),
        ({"split": "train"}, "split was val, now train"),
        ({"class_names": ("a", "b", "c", "d", "e")}, "class_names_digest"),
        ({"sample_ids": ("000000", "000001")}, "num_source_samples was 5, now 2"),
        ({"expected_count": 6}, "num_expected_samples was 5, now 6"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_prepare_other_split_in_the_same_place_is_refused(
    make_download: MakeDownload, tmp_path: Path, change: dict[str, object], field: str, finished: bool
) -> None:
    split = make_download(5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)
    if not finished:
        split = unfinish(split, tmp_path / "out")

    with pytest.raises(InputError, match=field):
        prepare(replaced(split, **change), str(tmp_path / "out"), num_samples_per_shard=2)


def unfinish(split: FolderSplit, out: Path) -> FolderSplit:
    """A preparation in `out` that stopped at its last sample, as a bad file leaves it."""
    shutil.rmtree(out)
    label = split.label_folder / f"{split.sample_ids[-1]}.png"
    content = label.read_bytes()
    label.unlink()
    with pytest.raises(InputError):
        prepare(split, str(out), num_samples_per_shard=2)
    label.write_bytes(content)
    return split


def test_prepare_other_number_of_samples_a_shard_is_refused(make_download: MakeDownload, tmp_path: Path) -> None:
    prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=2)

    with pytest.raises(InputError, match="num_samples_per_shard was 2, now 3"):
        prepare(make_download(5), str(tmp_path / "out"), num_samples_per_shard=3)


@pytest.mark.parametrize("finished", [True, False])
def test_prepare_other_download_with_the_same_ids_is_refused(
    make_download: MakeDownload, tmp_path: Path, finished: bool
) -> None:
    split = make_download(5)
    prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)
    if not finished:
        unfinish(split, tmp_path / "out")

    with pytest.raises(InputError, match="sample 000000 was packed from another source"):
        prepare(make_download(5, folder="other", seed=1), str(tmp_path / "out"), num_samples_per_shard=2)


def test_prepare_into_a_folder_of_somebody_else_is_refused(make_download: MakeDownload, tmp_path: Path) -> None:
    (tmp_path / "out" / "photos").mkdir(parents=True)
    (tmp_path / "out" / "photos" / "holiday.jpg").write_bytes(b"")

    with pytest.raises(InputError, match="not empty, and not a preparation"):
        prepare(make_download(2), str(tmp_path / "out"))


def spoil(split: FolderSplit) -> dict[str, str]:
    """Four kinds of bad sample, with what their error says."""
    truncated = split.image_folder / "000001.jpg"
    truncated.write_bytes(truncated.read_bytes()[:300])
    unknown = np.full((24, 36), 77, dtype=np.uint8)
    Image.fromarray(unknown).save(split.label_folder / "000003.png")
    (split.label_folder / "000004.png").unlink()
    Image.fromarray(unknown[:20]).save(split.label_folder / "000006.png")
    return {
        "000001": "000001.jpg: the photograph cannot be decoded",
        "000003": "000003.png: label value(s) 77",
        "000004": "000004.png: no such label",
        "000006": "000006.png: ",
    }


def test_prepare_first_bad_sample_stops_and_keeps_finished_shards(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(8)
    spoil(split)

    with pytest.raises(InputError, match=r"000001\.jpg"):
        prepare(split, str(tmp_path / "out"), num_samples_per_shard=1)

    assert not (tmp_path / "out" / "manifest.json").exists()
    assert [path.name for path in (tmp_path / "out" / "shards").iterdir()] == ["00000.parquet"]


def test_prepare_skip_bad_lists_every_bad_sample_and_drops_none(make_download: MakeDownload, tmp_path: Path) -> None:
    split = make_download(8)
    reasons = spoil(split)
    uri = str(tmp_path / "out")

    manifest = prepare(split, uri, skip_bad=True, num_samples_per_shard=2).manifest

    listed = [json.loads(line) for line in (tmp_path / "out" / "bad.jsonl").read_text().splitlines()]
    assert [bad["id"] for bad in listed] == sorted(reasons)
    for bad in listed:
        assert reasons[bad["id"]] in bad["reason"]
    assert (manifest.num_samples, manifest.num_bad_samples) == (4, 4)
    assert open_shards(uri).sample_ids == ("000000", "000002", "000005", "000007")
    with pytest.raises(InputError, match="4 bad samples left out"):
        prepare(split, uri, num_samples_per_shard=2)
    assert prepare(split, uri, skip_bad=True, num_samples_per_shard=2).num_written_shards == 0


def test_prepare_strict_then_skip_bad_goes_on_from_the_finished_shards(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(8)
    spoil(split)
    with pytest.raises(InputError, match=r"000001\.jpg"):
        prepare(split, str(tmp_path / "out"), num_samples_per_shard=1)

    assert prepare(split, str(tmp_path / "out"), skip_bad=True, num_samples_per_shard=1).num_written_shards == 7


@pytest.mark.parametrize("mended", [True, False])
def test_prepare_interrupted_skip_bad_then_strict_looks_at_the_bad_samples_again(
    make_download: MakeDownload, tmp_path: Path, mended: bool
) -> None:
    split = make_download(8)
    prepare(split, str(tmp_path / "whole"), num_samples_per_shard=2)
    label = split.label_folder / "000001.png"
    content = label.read_bytes()
    label.unlink()

    def interrupted(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(split, str(tmp_path / "out"), skip_bad=True, num_samples_per_shard=2, progress=interrupted)
    if mended:
        label.write_bytes(content)
        assert prepare(split, str(tmp_path / "out"), num_samples_per_shard=2).num_written_shards == 3
        assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    else:
        with pytest.raises(InputError, match=r"000001\.png"):
            prepare(split, str(tmp_path / "out"), num_samples_per_shard=2)


def test_prepare_label_outside_the_classes_is_refused_even_if_the_reader_lets_it_pass(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(3)
    table = split.table.copy()
    table[:5] = [0, 1, 2, 3, 9]

    with pytest.raises(InputError, match=r"label values \[9\] are no classes; allowed are 0..4"):
        prepare(replaced(split, table=table), str(tmp_path / "out"))


@pytest.mark.parametrize("sample_ids", [(), ("000001", "000000"), ("000000", "000000")])
def test_prepare_ids_empty_unsorted_or_repeated_is_refused(
    make_download: MakeDownload, tmp_path: Path, sample_ids: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match="synthetic val: "):
        prepare(replaced(make_download(3), sample_ids=sample_ids), str(tmp_path / "out"))


def test_prepare_progress_counts_up_to_all_samples_also_when_resumed(
    make_download: MakeDownload, tmp_path: Path
) -> None:
    split = make_download(5)
    seen: list[tuple[int, int]] = []
    prepare(
        split, str(tmp_path / "out"), num_samples_per_shard=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]

    unfinish(split, tmp_path / "out")
    seen.clear()
    prepare(
        split, str(tmp_path / "out"), num_samples_per_shard=2, progress=lambda done, total: seen.append((done, total))
    )

    assert seen == [(4, 5), (5, 5)]


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


def test_prepare_to_a_bucket_goes_on_after_an_interruption(make_download: MakeDownload, s3_bucket: str) -> None:
    split = make_download(6)

    def interrupted(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(split, f"s3://{s3_bucket}/x", num_samples_per_shard=2, progress=interrupted)

    assert prepare(split, f"s3://{s3_bucket}/x", num_samples_per_shard=2).num_written_shards == 1


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
