"""ovlab.datasets.prepare, called again: the same bytes however often it was stopped, and nothing made twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

MakeDownload = Callable[..., FolderSplit]
Contents = Callable[[Path], dict[str, bytes]]
Unfinish = Callable[[FolderSplit, Path], None]


def test_prepare_killed_again_and_again_ends_with_the_bytes_of_one_run(
    make_download: MakeDownload, tmp_path: Path, contents: Contents
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
    make_download: MakeDownload, tmp_path: Path, contents: Contents
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


def test_prepare_progress_counts_up_to_all_samples_also_when_resumed(
    make_download: MakeDownload, tmp_path: Path, unfinish: Unfinish
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


def test_prepare_to_a_bucket_goes_on_after_an_interruption(make_download: MakeDownload, s3_bucket: str) -> None:
    split = make_download(6)

    def interrupted(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(split, f"s3://{s3_bucket}/x", num_samples_per_shard=2, progress=interrupted)

    assert prepare(split, f"s3://{s3_bucket}/x", num_samples_per_shard=2).num_written_shards == 1
