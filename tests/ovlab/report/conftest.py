"""A store in which every image of an evaluation holds one class, of which a given share is found."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ovlab.datasets.catalog import seen_classes
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.report.cells import Grid, cells_of, read_records
from ovlab.specs.evaluation import (
    DenseClip,
    EvaluationSpec,
    Protocol,
    Scoring,
    evaluation_fingerprint,
    protocol_hash,
    scoring_hash,
)
from ovlab.specs.fingerprint import fingerprint as fingerprint_of
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import SHAPES, Suite
from ovlab.specs.table import Alone, Column, Published, Row, Table, Variation
from ovlab.store.count_shards import commit_shard, plan_shards
from ovlab.store.record import Attempt, ClassFigures, EvaluationRecord, StoredFile, TrainingRecord, cost_of
from ovlab.store.store import Store, open_store

TIME = "2026-01-02T03:04:05+00:00"
ATTEMPT = Attempt(
    id="1", began=TIME, updated=TIME, status="finished", device="cpu", num_gpus=0, seconds=60.0, kept_seconds=60.0
)
PIXELS = 1000


class FilledStore:
    """`path` is the folder of `store`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store: Store = open_store(str(path))

    def measure(
        self,
        run: Variation,
        shares: Sequence[float],
        *,
        seed: int = 0,
        benchmark: str = "pas-20",
        suite: Suite = SHAPES,
        scoring: Scoring | None = None,
        limit_steps: int | None = None,
        limit_images: int | None = None,
    ) -> EvaluationRecord:
        """Put a training and its evaluation, which finds `shares` of the pixels of each image: mIoU is their mean."""
        trained = run.training(suite, seed, limit_steps=limit_steps)
        training = self._train(ResolvedTraining(spec=trained, data_digest="a" * 64, weights_digest=None))
        protocol = replace(run.protocol(suite, training.training.spec.model), scoring=scoring or Scoring())
        return self._evaluate(
            training.fingerprint, suite.benchmark(benchmark), protocol, shares, limit_images=limit_images
        )

    def measure_alone(self, run: Alone, shares: Sequence[float], *, benchmark: str = "pas-20") -> EvaluationRecord:
        """The same of CLIP alone, in the miniature, under the common protocol."""
        model = run.model(SHAPES)
        subject = DenseClip(clip=model.clip, weights_digest="b" * 64, prompt_templates=model.prompt_templates)
        name, protocol = SHAPES.benchmark(benchmark), run.protocol(SHAPES, model)
        return self._evaluate(fingerprint_of(subject), name, protocol, shares, untrained=subject)

    def _evaluate(
        self,
        subject: str,
        name: str,
        protocol: Protocol,
        shares: Sequence[float],
        *,
        limit_images: int | None = None,
        untrained: DenseClip | None = None,
    ) -> EvaluationRecord:
        spec = EvaluationSpec(
            subject=subject,
            benchmark=name,
            split="val",
            data_digest="d" * 64,
            vocabulary_digest="e" * 64,
            protocol=protocol,
            num_images=limit_images,
        )
        images = [_image(f"{index:03d}", share) for index, share in enumerate(shares)]
        seen = seen_classes(name)
        class_names = [str(index) for index in range(len(seen))]
        figures = summary(sum_counts([image.counts for image in images], len(seen)), class_names, seen)
        fingerprint = evaluation_fingerprint(spec)
        by_id = {image.id: image for image in images}
        for shard in plan_shards(list(by_id)):
            commit_shard(self.store, fingerprint, shard, [by_id[name] for name in shard.ids])
        return self.store.put_evaluation(
            EvaluationRecord(
                fingerprint=fingerprint,
                evaluation=spec,
                protocol_hash=protocol_hash(protocol),
                scoring_hash=scoring_hash(protocol),
                figures={key: value for key, value in figures.items() if key != "classes"},
                classes=tuple(ClassFigures(**values) for values in figures["classes"]),
                num_shards=1,
                cost=cost_of([ATTEMPT]),
                finished=TIME,
                provenance={},
                untrained=untrained,
            )
        )

    def grid(self, table: Table, suite: Suite = SHAPES, **limits: int) -> Grid:
        return cells_of(table, suite, read_records(self.store), **limits)

    def _train(self, resolved: ResolvedTraining) -> TrainingRecord:
        return self.store.put_training(
            TrainingRecord(
                fingerprint=training_fingerprint(resolved),
                training=resolved,
                class_names=("sky",),
                num_steps=1,
                final_loss=0.5,
                weights=StoredFile(name="weights.safetensors", sha256="b" * 64, num_bytes=1),
                cost=cost_of([ATTEMPT]),
                finished=TIME,
                provenance={},
            )
        )


def _image(name: str, share: float) -> ImageCounts:
    """What is not found of class 0 is taken for class 1, which no image holds."""
    hits = round(share * PIXELS)
    columns = ([0, 0], [0, 1], [hits, PIXELS - hits])
    kept = [index for index in range(2) if columns[2][index]]
    gt, pred, count = (np.array([column[index] for index in kept]) for column in columns)
    return ImageCounts(name, SparseCounts(gt.astype(np.uint16), pred.astype(np.uint16), count.astype(np.int64)))


@pytest.fixture
def filled(tmp_path: Path) -> FilledStore:
    return FilledStore(tmp_path / "store")


FULL, HALF = Variation(), Variation(model={"prior_weight": 0.5})
NONE = Variation(model={"prior_weight": 0.0})


@pytest.fixture
def table() -> Table:
    """Three rows of ours, one of them published, and one that is only quoted, on PAS-20."""
    printed = Published(source="a paper", values={"PAS-20": 95.4})
    return Table(
        name="mine",
        title="Mine",
        columns=(Column(title="PAS-20", benchmark="pas-20"),),
        rows=(
            Row(key="theirs", label="Theirs", published=Published(source="a paper", values={"PAS-20": 90.0})),
            Row(key="full", label="Full", published=printed, run=FULL),
            Row(key="half", label="Half", run=HALF),
            Row(key="none", label="None", run=NONE),
        ),
        seeds=(0, 1, 2),
    )
