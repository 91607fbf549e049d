"""`ovlab data` on real samples in their original layout, and what it says and returns."""

import argparse
import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.commands import data
from ovlab.datasets import transfer
from ovlab.datasets.prepare import prepare
from ovlab.datasets.published_file import PublishedFile
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.sharded import open_shards
from ovlab.specs.errors import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no real samples in ../shared/data/samples")


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="ovlab")
    data.configure(parser.add_subparsers())
    parsed = parser.parse_args([str(argument) for argument in ("data", *arguments)])
    return parsed.execute(parsed)


def read_png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(np.int64)


def ade20k_150(sample_id: str) -> np.ndarray:
    raw = read_png(SAMPLES / "ADEChallengeData2016" / "annotations" / "validation" / f"{sample_id}.png")
    return np.where(raw == 0, IGNORE_INDEX, raw - 1)


def voc_20(sample_id: str) -> np.ndarray:
    raw = read_png(SAMPLES / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{sample_id}.png")
    return np.where((raw == 0) | (raw == 255), IGNORE_INDEX, raw - 1)


def voc_20b(sample_id: str) -> np.ndarray:
    raw = read_png(SAMPLES / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{sample_id}.png")
    return np.where(raw == 255, IGNORE_INDEX, np.where(raw == 0, 20, raw - 1))


def coco_stuff(sample_id: str) -> np.ndarray:
    raw = read_png(SAMPLES / "coco_stuff164k" / "annotations" / "val2017" / f"{sample_id}.png")
    gaps = np.array([11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90])
    return np.where(raw == 255, IGNORE_INDEX, raw - np.searchsorted(gaps, raw))


def ade20k_full(sample_id: str) -> np.ndarray:
    found = next((SAMPLES / "ADE20K_2021_17_01").rglob(f"{sample_id.split('/')[-1]}_seg.png"))
    colours = read_png(found)
    return colours[..., 0] // 10 * 256 + colours[..., 1]


@needs_samples
@pytest.mark.photographs
@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a-150", "", ade20k_150),
        ("pas-20", "", voc_20),
        ("pas-20b", "", voc_20b),
        ("coco-stuff", "coco_stuff164k", coco_stuff),
    ],
)
def test_prepare_real_samples_reads_back_the_original_remapped(
    name: str, source: str, expected: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source_folder = SAMPLES / source
    assert run("prepare", name, "--source", source_folder, "--out", tmp_path / "out", "--workers", 1, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert run("verify", tmp_path / "out", "--workers", 1) == 1
    assert "FAILED  number of samples" in capsys.readouterr().out
    assert run("verify", tmp_path / "out", "--workers", 1, "--allow-partial", "--json") == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True

    dataset = open_shards(str(tmp_path / "out"))
    assert len(dataset) == facts["num_samples"] >= 4
    for index in range(len(dataset)):
        sample = dataset[index]
        np.testing.assert_array_equal(sample.label, expected(sample.id))  # type: ignore[operator]
        originals = [path for path in SAMPLES.rglob(f"{sample.id}.jpg") if "context" not in str(path)]
        assert any(path.read_bytes() == dataset.row(index).image for path in originals)


@needs_samples
@pytest.mark.photographs
def test_prepare_full_ade20k_is_the_ids_of_its_colours_at_the_reduced_size(tmp_path: Path) -> None:
    command = ("prepare", "a-847", "--split", "train", "--source", SAMPLES, "--out", tmp_path / "out", "--workers", 1)
    assert run(*command) == 0
    dataset = open_shards(str(tmp_path / "out"))
    raw_of = {}
    for index in range(len(dataset)):
        sample = dataset[index]
        raw = ade20k_full(sample.id)
        assert min(sample.label.shape) == min(512, *raw.shape)
        kept = sample.label != IGNORE_INDEX
        # Every class of the small map comes from one raw id of the large one, the same in both images.
        rows = (np.arange(sample.label.shape[0]) * raw.shape[0] / sample.label.shape[0]).astype(int)
        columns = (np.arange(sample.label.shape[1]) * raw.shape[1] / sample.label.shape[1]).astype(int)
        small = raw[rows][:, columns]
        for train_id, raw_id in set(zip(sample.label[kept].tolist(), small[kept].tolist(), strict=True)):
            assert raw_of.setdefault(train_id, raw_id) == raw_id
    assert len(raw_of) > 10


def test_list_says_how_to_obtain_each_download(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0

    text = capsys.readouterr().out
    for name in ("coco-stuff", "a-847", "pc-459", "a-150", "pc-59", "pas-20", "pas-20b"):
        assert f"ovlab data prepare {name} --source DIR --out URI" in text
    assert "stuffthingmaps_trainval2017.zip (not stuff_annotations_trainval2017.zip)" in text


def test_get_says_what_it_fetches_under_which_licence_and_what_is_left_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[str] = []

    def get(file: PublishedFile, folder: Path, progress: object) -> transfer.Got:
        fetched.append(file.name)
        return transfer.Got("a" * 64, False)

    monkeypatch.setattr(transfer, "get", get)

    assert run("get", "coco-stuff", "--split", "val", "--out", tmp_path, "--yes") == 0
    told = capsys.readouterr()
    assert run("get", "pc-459", "--out", tmp_path, "--yes") == 0

    assert fetched == ["val2017.zip", "stuffthingmaps_trainval2017.zip", "VOCtrainval_03-May-2010.tar"]
    assert "http://images.cocodataset.org/zips/val2017.zip\n    816 MB; photographs under Flickr's terms" in told.err
    assert "stuffthingmaps_trainval2017.zip: fetched, no checksum was published; sha256 aaaa" in told.err
    assert f"ovlab data prepare coco-stuff --source {tmp_path} --out URI" in told.out
    assert "left to do: Unpack trainval.tar.gz" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["a-847", "--yes"], "a-847: nothing of it may be fetched by anyone. Register at https"),
        (["a-150"], "nobody is there to be asked; --yes fetches it."),
    ],
)
def test_get_without_consent_or_of_what_nobody_may_fetch_is_refused(
    options: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    with pytest.raises(InputError, match=re.escape(reason)):
        run("get", *options, "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("answer", "num_fetched"), [("y\n", 1), ("\n", 0)])
def test_get_asks_on_a_terminal(
    answer: str, num_fetched: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[str] = []
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(transfer, "get", lambda file, *_: fetched.append(file.name) or transfer.Got("a" * 64, False))

    with contextlib.suppress(InputError):
        run("get", "a-150", "--out", tmp_path)

    assert "967 MB; label maps under BSD 3-Clause" in capsys.readouterr().err
    assert len(fetched) == num_fetched


def test_list_finds_what_is_prepared_in_a_place_and_in_its_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = write_download(tmp_path / "download", num_images=3, height=8, width=9, num_classes=2)
    prepare(split, str(tmp_path / "sets" / "one"))
    (tmp_path / "sets" / "nothing").mkdir()

    assert run("list", "--at", tmp_path / "sets", "--at", tmp_path / "sets" / "one", "--json") == 0

    prepared = json.loads(capsys.readouterr().out)["prepared"]
    assert [found["uri"] for found in prepared] == [str(tmp_path / "sets" / "one")] * 2
    assert prepared[0]["num_samples"] == 3


def test_list_says_first_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--at", tmp_path) == 0

    assert capsys.readouterr().out.startswith(f"prepared in {tmp_path}: nothing\n")


@pytest.mark.parametrize("arguments", [("list", "a-15"), ("prepare", "a-15", "--source", ".", "--out", "x")])
def test_data_unknown_name_offers_the_nearest(arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="a-150"):
        run(*arguments)


def test_verify_where_nothing_is_prepared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prepared data"):
        run("verify", tmp_path)


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_prepare_worker_count_below_one_is_a_wrong_call(workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        run("verify", "x", "--workers", workers)

    assert error.value.code == 2
    assert "--workers" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["list", "prepare", "verify"])
def test_data_help_holds_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(action, "--help")

    assert f"  ovlab data {action} " in capsys.readouterr().out.split("examples:")[1]


def test_data_command_imports_no_torch_and_no_pyarrow() -> None:
    program = "import sys, ovlab.commands.data; print({'torch', 'pyarrow', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "set()"
