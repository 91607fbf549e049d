"""Pictures of an evaluation: which images, what is in them, and that they are drawn once."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from logoseg.class_colours import class_colours
from logoseg.network import LoGoSeg
from logoseg.overlay import painted
from logoseg.presets import tiny
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.metrics.image_scores import image_scores
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.illustrations import keep_pictures
from ovlab.runs.journaling import journaled
from ovlab.runs.work import EvaluationJob
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.evaluation import whole
from ovlab.specs.events import RunHeader
from ovlab.specs.serialization import spec_to_json
from ovlab.store.contact_sheet import contact_sheet
from ovlab.store.pairs import stored_tables
from ovlab.store.pictures import KINDS, pictures_of, read_pictures
from ovlab.store.record import DamagedError, EvaluationRecord
from ovlab.store.store import Store, evaluation_folder, open_store

NUM_IMAGES = 7


def network() -> nn.Module:
    preset = tiny()
    clip = replace(preset.clip, image_size=64)
    torch.manual_seed(0)
    return LoGoSeg(replace(preset, clip=clip, guidance_dim=16, attention_heads=2, region_grid=2, state_dim=4)).eval()


def never() -> nn.Module:
    raise AssertionError("the pictures are there; no network is needed")


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> EvaluationJob:
    monkeypatch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    dataset = open_shapes("shapes-pas-20b", "val", num_samples=10)
    return EvaluationJob(resolve_evaluation("a" * 64, dataset, "val", whole(64), num_images=NUM_IMAGES), dataset)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def context(store: Store, tmp_path: Path) -> RunContext:
    return RunContext(store=store, workdir=tmp_path, device="cpu")


@pytest.fixture
def record(job: EvaluationJob, context: RunContext) -> EvaluationRecord:
    """Of an evaluation whose pictures are lost."""
    with journaled(RunHeader(run="a" * 64, name="made"), context) as inner:
        (record,) = ensure_evaluations([job], {"a" * 64: network}, inner, Here())
    context.store.folder.remove_folder(f"{evaluation_folder(record.fingerprint)}/pictures")
    return record


def test_first_worst_and_best_images_are_kept_each_once(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store
) -> None:
    pictures = keep_pictures(record, job, context, network, num_first=2, num_extremes=2).pictures

    counts = stored_tables(store, record)
    scores = dict(zip(counts.ids, image_scores(counts), strict=True))
    by_choice = {choice: [p.id for p in pictures if p.chosen == choice] for choice in ("first", "worst", "best")}
    assert by_choice["first"] == list(job.images.sample_ids[:2])
    assert {picture.id: picture.miou for picture in pictures} == {p.id: scores[p.id] for p in pictures}
    assert len({picture.id for picture in pictures}) == len(pictures)
    ranked = sorted(scores, key=scores.__getitem__)
    assert set(ranked[:2] + ranked[-2:]) <= {picture.id for picture in pictures}
    assert set(by_choice["worst"]) <= set(ranked[:2])


def test_legend_and_pictures_are_of_the_labels_that_are_scored(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store
) -> None:
    picture = keep_pictures(record, job, context, network, num_first=1, num_extremes=0).pictures[0]

    sample, words = job.images[0], job.labels.scored
    expected = {words[index]: int((sample.label == index).sum()) for index in range(len(words))}
    assert {c.name: c.num_gt_pixels for c in picture.classes if c.num_gt_pixels} == {
        name: number for name, number in expected.items() if number
    }
    # The words beyond the background are asked for and never shown.
    assert {c.name for c in picture.classes} <= set(words)
    assert sum(c.num_pred_pixels for c in picture.classes) == sum(expected.values())
    assert set(picture.files) == set(KINDS)
    content = read_pictures(store, record.fingerprint, [picture.files["truth"]])[picture.files["truth"]]
    # Of the ground truth alone, so that the picture is the same for every run.
    colours = class_colours(len(words), [words.index(c.name) for c in picture.classes if c.num_gt_pixels])
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.size == (picture.width, picture.height) == (96, 96)
        difference = np.asarray(shown.convert("RGB")).astype(int) - painted(sample.image, sample.label, colours)
    assert np.abs(difference).mean() < 8  # WebP is not lossless
    assert len({c.colour for c in picture.classes}) == len(picture.classes)


def test_pictures_that_are_there_are_not_drawn_again(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store
) -> None:
    first = keep_pictures(record, job, context, network, num_first=1, num_extremes=0)

    assert keep_pictures(record, job, context, never) == first == pictures_of(store, record.fingerprint)


def test_damaged_index_is_drawn_again(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store
) -> None:
    first = keep_pictures(record, job, context, network, num_first=1, num_extremes=0)
    store.folder.write(f"{evaluation_folder(record.fingerprint)}/pictures/index.json", b"{")

    assert keep_pictures(record, job, context, network, num_first=1, num_extremes=0) == first


def test_damaged_picture_is_named_and_drawn_again(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = keep_pictures(record, job, context, network, num_first=1, num_extremes=0)
    name = first.files[2]
    place = f"{evaluation_folder(record.fingerprint)}/pictures/{name}"
    content = store.folder.read(place)
    store.folder.write(place, content[:-1] + bytes([content[-1] ^ 1]))

    assert keep_pictures(record, job, context, network, num_first=1, num_extremes=0) == first

    assert store.folder.read(place) == content
    assert f"{name}: damaged" in caplog.text


def test_index_with_another_number_is_refused_and_one_of_before_there_were_seals_is_read(
    record: EvaluationRecord, job: EvaluationJob, context: RunContext, store: Store
) -> None:
    first = keep_pictures(record, job, context, network, num_first=1, num_extremes=0)
    place = f"{evaluation_folder(record.fingerprint)}/pictures/index.json"
    sealed = store.folder.read(place)
    store.folder.write(place, spec_to_json(first).encode())
    assert pictures_of(store, record.fingerprint) == first
    store.folder.write(place, sealed.replace(b'"width": 96', b'"width": 97'))

    with pytest.raises(DamagedError, match=r"index\.json: damaged"):
        pictures_of(store, record.fingerprint)

    store.folder.write(place.replace(record.fingerprint, "f" * 64), sealed)
    with pytest.raises(DamagedError, match=r"index\.json: damaged, it is the index of another evaluation"):
        pictures_of(store, "f" * 64)


class Thin:
    """The first scene, stretched: one line of pixels high, or wide."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> object:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self._dataset[index]
        across, down = np.arange(900) * sample.label.shape[1] // 900, np.arange(900) * sample.label.shape[0] // 900
        rows, columns = (slice(0, 1), across) if index % 2 else (down, slice(0, 1))
        return replace(sample, image=sample.image[rows, columns], label=sample.label[rows, columns])


def test_pictures_of_a_line_of_pixels_are_a_line_and_their_sheet_has_an_end(
    job: EvaluationJob, store: Store, context: RunContext
) -> None:
    thin = replace(job, spec=replace(job.spec, num_images=2), dataset=Thin(job.dataset))
    with journaled(RunHeader(run="a" * 64, name="made"), context) as inner:
        (record,) = ensure_evaluations([thin], {"a" * 64: network}, inner, Here())

    index = pictures_of(store, record.fingerprint)
    sheet = contact_sheet(store, record.fingerprint)

    assert {(one.width, one.height) for one in index.pictures} == {(512, 1), (1, 512)}
    assert sheet.height < len(index.pictures) * 4 * 200
