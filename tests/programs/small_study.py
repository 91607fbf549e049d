"""Photographs, a table and the commands that prepare, train, evaluate, run and report them, in seconds each."""

from pathlib import Path

import numpy as np
from PIL import Image

from ovlab.files.storage import Folder
from ovlab.store.store import open_store

CPU = ["--device", "cpu"]
WORKERS = ["--loader-workers", "0"]
SMALL = [
    *("--preset", "tiny", "--set", "model.clip.image_size=64", "--set", "augmentation.crop_size=64"),
    *("--set", "model.guidance_dim=16", "--set", "model.state_dim=4", "--set", "model.region_grid=2"),
    *("--steps", "2", "--batch-size", "1", "--checkpoint-every", "1", *CPU, *WORKERS),
]
LIMITS = ["--limit-steps", "1", "--limit-images", "1"]
TABLE = """\
from ovlab.specs.table import Column, Row, Table, Variation

SMALL = {"guidance_dim": 16, "attention_heads": 2, "state_dim": 4, "fusion_depth": 1, "decoder_dims": [16, 16]}

TABLE = Table(
    name="mine",
    title="Mine",
    columns=(Column(title="PAS-20", benchmark="pas-20"),),
    rows=(Row(key="full", label="", run=Variation(training_set="pc-59", model=SMALL, schedule={"batch_size": 1})),),
)
"""


def write_study(folder: Path) -> None:
    """The table `mine.py`, and `download`, which is laid out as A-150 is: 3 photographs to train with, 2 to test."""
    random = np.random.default_rng(0)
    for split, number in (("training", 3), ("validation", 2)):
        for part in ("images", "annotations"):
            (folder / "download" / part / split).mkdir(parents=True)
        for index in range(number):
            blocks = random.integers(0, 5, (4, 5), np.uint8).repeat(20, 0).repeat(20, 1)
            pixels = np.stack([blocks * 50] * 3, -1)
            Image.fromarray(pixels).save(folder / "download" / "images" / split / f"{index}.jpg")
            Image.fromarray(blocks).save(folder / "download" / "annotations" / split / f"{index}.png")
    (folder / "mine.py").write_text(TABLE)


def prepare(out: str) -> list[str]:
    return ["data", "prepare", "a-150", "--source", "download", "--split", "train", "--workers", "1", "--out", out]


def train(data: str, *places: str) -> list[str]:
    return ["train", "--data", data, *SMALL, *places]


def evaluate(weights: str, data: str, *places: str) -> list[str]:
    return ["evaluate", weights, "--data", data, "--split", "train", *CPU, *places]


def run(store: str, workdir: str) -> list[str]:
    work = ["--clip", "shapes-vit-s=none", "--runs-at-once", "1", "--no-tracking", *CPU, *WORKERS]
    return ["run", "./mine.py", *LIMITS, *work, "--store", store, "--workdir", workdir]


def report(store: str, out: str) -> list[str]:
    return ["report", "./mine.py", *LIMITS, "--store", store, "--out", out]


def prepared(place: str) -> dict[str, object]:
    """The manifest of a prepared set, and its shards."""
    folder = Folder(place)
    return {"manifest": folder.read("manifest.json"), "shards": folder.sizes("shards")}


def recorded(place: str) -> dict[str, object]:
    """What the records in a store say, and which weights lie there."""
    store = open_store(place)
    trainings = {record.fingerprint: record.weights for record in store.trainings()}
    for fingerprint, weights in trainings.items():
        assert store.folder.sizes(f"trainings/{fingerprint}")[weights.name] == weights.num_bytes
    return trainings | {record.fingerprint: record.figures for record in store.evaluations()}


def written(folder: Path) -> dict[str, object]:
    """Every file of a report."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
