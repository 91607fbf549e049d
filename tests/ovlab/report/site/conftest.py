"""A small site: two rows of three seeds each, one of them with pictures, a loss and lost work."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.report.assembly import table_views
from ovlab.report.cells import read_records
from ovlab.report.site import write_site
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Table, Variation
from ovlab.store.pictures import KINDS, Picture, PictureClass, Pictures, put_picture, put_pictures
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store, training_folder


def put_loss(store: Store, training: str, losses: list[float]) -> None:
    lines = [json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in enumerate(losses, start=1)]
    store.folder.write(f"{training_folder(training)}/steps.jsonl", "".join(lines).encode())


def put_gallery(store: Store, evaluation: str, image_id: str, word: str = "red star") -> Pictures:
    files = {}
    for shade, kind in enumerate(KINDS):
        buffer = io.BytesIO()
        Image.fromarray(np.full((20, 30, 3), 60 * shade, np.uint8)).save(buffer, format="WEBP")
        files[kind] = put_picture(store, evaluation, buffer.getvalue())
    classes = [PictureClass(name=word, colour="#d62828", num_gt_pixels=9, num_pred_pixels=5)] + [
        PictureClass(name=f"moon <{number}>", colour="#2828d6", num_gt_pixels=0, num_pred_pixels=1)
        for number in range(9)
    ]
    pictures = Pictures(
        pictures=(
            Picture(id=image_id, miou=0.25, chosen="first", width=30, height=20, files=files, classes=tuple(classes)),
        )
    )
    put_pictures(store, evaluation, pictures)
    return pictures


@pytest.fixture
def records(filled) -> list[EvaluationRecord]:
    """Three seeds of the full model, then three of the half prior, which is worse."""
    return [
        filled.measure(run, [share + 0.02 * seed, share + 0.1, share - 0.1], seed=seed)
        for run, share in ((Variation(), 0.7), (Variation(model={"prior_weight": 0.5}), 0.4))
        for seed in (0, 1, 2)
    ]


@pytest.fixture
def pictures(filled, records: list[EvaluationRecord]) -> Pictures:
    put_loss(filled.store, records[0].evaluation.subject, [3.0, 2.0, 1.5])
    return put_gallery(filled.store, records[0].fingerprint, "001")


@pytest.fixture
def put_pictures_of(filled) -> Callable[..., Pictures]:
    """Of an evaluation, with the id of an image and a word of its legend."""
    return partial(put_gallery, filled.store)


@pytest.fixture
def make_site(filled, table: Table, tmp_path: Path) -> Callable[[], Path]:
    """Writes the site of the store as it is then; returns its index."""

    def make() -> Path:
        records = read_records(filled.store)
        views = table_views([table], SHAPES, records, filled.store)
        return write_site(views, records, filled.store, tmp_path / "site")

    return make
