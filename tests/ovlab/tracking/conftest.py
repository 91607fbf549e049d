"""A store with journals, and databases of MLflow that are ready at once."""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from ovlab.specs.evaluation import EvaluationSpec, evaluation_fingerprint, protocol_hash, scoring_hash
from ovlab.specs.events import Event
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import PAPER
from ovlab.store.journal_lines import pack_line
from ovlab.store.pictures import KINDS, Picture, Pictures, put_picture, put_pictures
from ovlab.store.record import ClassFigures, Cost, EvaluationRecord, StoredFile, TrainingRecord
from ovlab.store.store import Store, open_store
from ovlab.tracking.destination import Destination, destination

Tell = Callable[..., str]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of MLflow without a row; making them takes seconds, copying them none."""
    from ovlab.tracking.mlflow_client import prepare_schema

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare_schema(f"sqlite:///{file}")
    return file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def tracking(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    """Where the runs of `store` are shown."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "store" / "tracking").mkdir(parents=True)
    shutil.copyfile(empty_database, tmp_path / "store" / "tracking" / "mlflow.db")
    return destination(str(tmp_path / "store"))


@pytest.fixture
def tell(store: Store) -> Tell:
    """Writes a file of a journal: `tell(run, [(time, event), ...])`; returns its name in the store."""

    def write(run: str, events: Sequence[tuple[float, Event]], *, attempt: int = 1, writer: int = 0) -> str:
        name = f"journals/{run}/20260102T030405{attempt:06}Z-00000000.{writer:08}.jsonl"
        store.folder.write(name, b"".join(pack_line(event, float(time)) for time, event in events))
        return name

    return write


_COST = Cost(device="H200", seconds=3600.5, gpu_seconds=7201.0, lost_seconds=0.0, attempts=())
_FINISHED = "2026-01-02T04:04:05+00:00"


@pytest.fixture
def training(store: Store) -> TrainingRecord:
    """The record of a training of 80,000 updates."""
    resolved = ResolvedTraining(spec=PAPER.training(seed=0), data_digest="a" * 64, weights_digest=None)
    return store.put_training(
        TrainingRecord(
            fingerprint=training_fingerprint(resolved),
            training=resolved,
            class_names=("sky", "tree, oak"),
            num_steps=80_000,
            final_loss=0.5,
            weights=StoredFile(name="weights.safetensors", sha256="b" * 64, num_bytes=5),
            cost=_COST,
            finished=_FINISHED,
            provenance={},
        )
    )


@pytest.fixture
def evaluation(store: Store, training: TrainingRecord) -> EvaluationRecord:
    """That of an evaluation of it, with pictures."""
    spec = EvaluationSpec(
        subject=training.fingerprint,
        benchmark="a-150",
        split="val",
        data_digest="a" * 64,
        vocabulary_digest="d" * 64,
        protocol=PAPER.protocol("vit-b"),
    )
    fingerprint = evaluation_fingerprint(spec)
    _put_pictures(store, fingerprint)
    return store.put_evaluation(
        EvaluationRecord(
            fingerprint=fingerprint,
            evaluation=spec,
            protocol_hash=protocol_hash(spec.protocol),
            scoring_hash=scoring_hash(spec.protocol),
            figures={"miou": 0.3125, "unseen_miou": None, "num_images": 2000, "num_pixels": 7},
            classes=(
                ClassFigures(name="sky", iou=0.5, accuracy=None, num_gt_pixels=2**40, num_pred_pixels=0),
                ClassFigures(name="road", iou=None, accuracy=None, num_gt_pixels=0, num_pred_pixels=0),
            ),
            num_shards=32,
            cost=_COST,
            finished=_FINISHED,
            provenance={},
        )
    )


def _put_pictures(store: Store, fingerprint: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, format="WEBP")
    name = put_picture(store, fingerprint, file.getvalue())
    files = dict.fromkeys(KINDS, name)
    picture = Picture(id="1", miou=None, chosen="first", width=8, height=6, files=files, classes=())
    put_pictures(store, fingerprint, Pictures(pictures=(picture,)))
