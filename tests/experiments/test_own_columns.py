"""Columns of a table that are data sets of one's own, from `ovlab plan` to the report, as a person calls them."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.cli import main
from ovlab.datasets.prepare import prepare
from ovlab.store.store import open_store

TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(
        Column(title="PAS-20", benchmark="pas-20"),
        Column(title="Street", benchmark="photographs/street", split="test"),
        Column(title="Street, unseen", benchmark="photographs/street", split="test", score="unseen_miou"),
        Column(title="Made", benchmark="synthetic=sets/one"),
    ),
    rows=(Row(key="full", label="Full", run=Variation(training_set="pc-59", model=SMALL, schedule={"batch_size": 1})),),
)
"""
OPTIONS = ["--limit-steps", "2", "--limit-images", "3"]
# Words that the small CLIP knows.
CLASSES = {
    "classes": ["sky", ["road", "stone"], ["background", "brick", "hedge"]],
    "seen": ["sky"],
    "background": "background",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with mine.py, photographs/street and sets/one."""
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TABLE)
    split = tmp_path / "photographs" / "street" / "test"
    for kind in ("images", "labels"):
        (split / kind).mkdir(parents=True)
    (split.parent / "classes.json").write_text(json.dumps(CLASSES))
    for index in range(3):
        random = np.random.default_rng(index)
        label = random.integers(0, 3, (4, 5), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(random.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(split / "images" / f"{index}.png")
        Image.fromarray(label).save(split / "labels" / f"{index}.png")
    download = write_download(tmp_path / "download", num_images=2, height=24, width=36, num_classes=3)
    prepare(replace(download, class_names=("sand", "lava", "ice")), "sets/one")
    return tmp_path


def planned(capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[str, str, int]]:
    """Name, status and number of images of each evaluation."""
    assert main(["plan", "mine.py", "--clip", "shapes-vit-s=none", *OPTIONS, *options, "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    return [(part["benchmark"], part["status"], part["num_images"]) for part in run["evaluations"]]


def test_own_data_sets_are_columns_from_the_plan_to_a_report_that_needs_no_data(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(capsys) == [("shapes-pas-20", "missing", 3), ("street", "missing", 3), ("synthetic", "missing", 2)]

    here = ["--clip", "shapes-vit-s=none", "--runs-at-once", "1", "--no-tracking", "--device", "cpu"]
    assert main(["run", "mine.py", *here, *OPTIONS]) == 0
    capsys.readouterr()

    assert {status for _, status, _ in planned(capsys)} == {"done"}
    (street,) = (found for found in open_store("ovlab-store").evaluations() if found.evaluation.benchmark == "street")
    assert street.seen == (True, False, False)
    assert [found.name for found in street.classes] == ["sky", "road", "background"]
    unseen = [found.iou for found in street.classes[1:]]
    assert street.figures["unseen_miou"] == pytest.approx(np.mean(unseen))

    for gone in ("photographs", "sets"):
        shutil.rmtree(place / gone)
    assert main(["report", "mine.py", *OPTIONS, "--out", "report"]) == 0
    with (place / "report" / "tables" / "mine.csv").open() as file:
        cells = {cell["column"]: cell for cell in csv.DictReader(file)}
    assert list(cells) == ["shapes PAS-20", "Street", "Street, unseen", "Made"]
    assert float(cells["Street, unseen"]["value"]) == street.figures["unseen_miou"]
    assert {cell["origin"] for cell in cells.values()} == {"measured"}
    assert all(cell["image_low"] for cell in cells.values())


def test_place_of_another_set_blocks_its_column_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.py").write_text(TABLE.replace("synthetic=sets/one", "sets/one"))

    assert planned(capsys)[2] == ("one", "blocked", 0)
    assert planned(capsys)[1][1] == "missing"


def test_own_data_set_that_lies_elsewhere_here_is_given_its_place(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "photographs").rename(place / "moved")

    assert planned(capsys)[1] == ("street", "blocked", 0)
    assert planned(capsys, "--data", "street=moved/street")[1] == ("street", "missing", 3)
