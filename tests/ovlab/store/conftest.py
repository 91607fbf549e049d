"""Records with every kind of value in them, and an empty store of each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ovlab.specs.evaluation import EvaluationSpec, evaluation_fingerprint, protocol_hash, scoring_hash
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import PAPER
from ovlab.store.record import Attempt, ClassFigures, EvaluationRecord, StoredFile, TrainingRecord, cost_of
from ovlab.store.store import Store, open_store

ATTEMPT = Attempt(
    id="20260102T030405-1",
    began="2026-01-02T03:04:05+00:00",
    updated="2026-01-02T04:04:05+00:00",
    status="finished",
    device="cpu",
    num_gpus=0,
    seconds=3600.5,
    kept_seconds=3600.5,
)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{request.getfixturevalue('s3_bucket')}/some/store")


@pytest.fixture
def make_training() -> Callable[..., TrainingRecord]:
    def make(seed: int = 0, **changes: object) -> TrainingRecord:
        training = ResolvedTraining(spec=PAPER.training(seed=seed), data_digest="a" * 64, weights_digest=None)
        values = {
            "fingerprint": training_fingerprint(training),
            "training": training,
            "class_names": ("sky", "tree, oak"),
            "num_steps": 80_000,
            "final_loss": 0.1 + 0.2,
            "weights": StoredFile(name="weights.safetensors", sha256="b" * 64, num_bytes=5),
            "cost": cost_of([ATTEMPT]),
            "finished": "2026-01-02T04:04:05+00:00",
            "provenance": {"commit": "abc", "dirty": False, "versions": {"torch": "2"}},
        }
        return TrainingRecord(**{**values, **changes})

    return make


@pytest.fixture
def make_evaluation() -> Callable[..., EvaluationRecord]:
    def make(backbone: str = "vit-b", **changes: object) -> EvaluationRecord:
        spec = EvaluationSpec(
            subject="c" * 64,
            benchmark="a-150",
            split="val",
            data_digest="a" * 64,
            vocabulary_digest="d" * 64,
            protocol=PAPER.protocol(backbone),
        )
        values = {
            "fingerprint": evaluation_fingerprint(spec),
            "evaluation": spec,
            "protocol_hash": protocol_hash(spec.protocol),
            "scoring_hash": scoring_hash(spec.protocol),
            "figures": {"miou": 1 / 3, "unseen_miou": None, "num_images": 2000, "pixel_accuracy": 1.0},
            "classes": (
                ClassFigures(name="sky", iou=0.5, accuracy=None, num_gt_pixels=2**40, num_pred_pixels=0),
                ClassFigures(name="road", iou=None, accuracy=None, num_gt_pixels=0, num_pred_pixels=0),
            ),
            "num_shards": 32,
            "cost": cost_of([ATTEMPT]),
            "finished": "2026-01-02T04:04:05+00:00",
            "provenance": {},
        }
        return EvaluationRecord(**{**values, **changes})

    return make
