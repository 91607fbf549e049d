"""ovlab.datasets.prepare with samples that cannot be read: it stops, or lists them, and drops none in silence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sharded import open_shards
from ovlab.specs.errors import InputError

MakeDownload = Callable[..., FolderSplit]
Contents = Callable[[Path], dict[str, bytes]]


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


def test_prepare_two_workers_is_equal_to_one_to_the_byte(
    make_download: MakeDownload, tmp_path: Path, contents: Contents
) -> None:
    split = make_download(10)
    spoil(split)

    prepare(split, str(tmp_path / "one"), num_samples_per_shard=3, skip_bad=True)
    prepare(split, str(tmp_path / "two"), num_samples_per_shard=3, skip_bad=True, num_workers=2)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


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
    make_download: MakeDownload, tmp_path: Path, contents: Contents, mended: bool
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
