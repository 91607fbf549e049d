"""An executor that trains nothing: what a run scores is drawn for its row and its seed."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np

from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun, PlannedTraining, require_training
from ovlab.runs.work import Counted, Work
from ovlab.specs.errors import Stopped
from ovlab.specs.evaluation import EvaluationSpec, protocol_hash, scoring_hash
from ovlab.store.count_shards import commit_shard, plan_shards
from ovlab.store.record import Attempt, ClassFigures, EvaluationRecord, StoredFile, TrainingRecord, cost_of
from ovlab.store.store import Store

TIME = "2026-01-02T03:04:05+00:00"
ATTEMPT = Attempt(
    id="1", began=TIME, updated=TIME, status="finished", device="cpu", num_gpus=0, seconds=60.0, kept_seconds=60.0
)
# Images that are easy and hard alike for every run; what is not found of class 0 is taken for class 1.
EASE = [0.3 + 0.01 * index for index in range(20)]
PIXELS = 1_000_000


class Gain(NamedTuple):
    """How much more of an image a row finds, and the standard deviation of that over seeds."""

    mean: float
    spread: float


class Drawn:
    """made: the names of the runs, in order. failing: rows whose runs fail. happens: called before each run."""

    def __init__(
        self,
        gains: Mapping[str, Gain],
        *,
        failing: Collection[str] = (),
        happens: Callable[[], object] = lambda: None,
    ) -> None:
        self.gains, self.failing, self.happens = gains, failing, happens
        self.made: list[str] = []

    def train(self, training: PlannedTraining, context: RunContext) -> TrainingRecord:
        raise NotImplementedError

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        raise NotImplementedError

    def make(self, runs: Sequence[PlannedRun], context: RunContext, on_failure: Callable[[Failure], object]) -> None:
        for run in runs:
            self.happens()
            if context.stop():
                raise Stopped("stopped; the same command continues.")
            row = run.rows[0][1]
            if row in self.failing:
                on_failure(Failure(run, "the loss is nan"))
                continue
            self.made.append(run.name)
            self._make(run, context.store, self.gains[row])

    def _make(self, run: PlannedRun, store: Store, gain: Gain) -> None:
        assert isinstance(run.subject, PlannedTraining)
        assert run.subject.fingerprint is not None
        generator = np.random.default_rng([crc32(run.rows[0][1].encode()), run.subject.spec.seed])
        found = gain.mean + gain.spread * generator.normal()
        store.put_training(
            TrainingRecord(
                fingerprint=run.subject.fingerprint,
                training=require_training(run.subject),
                class_names=("sky",),
                num_steps=1,
                final_loss=0.5,
                weights=StoredFile(name="weights.safetensors", sha256="b" * 64, num_bytes=1),
                cost=cost_of([ATTEMPT]),
                finished=TIME,
                provenance={},
            )
        )
        for part in run.evaluations:
            assert part.spec is not None
            assert part.fingerprint is not None
            store.put_evaluation(_evaluated(part.spec, part.fingerprint, store, [share + found for share in EASE]))


def _evaluated(spec: EvaluationSpec, fingerprint: str, store: Store, shares: Sequence[float]) -> EvaluationRecord:
    images = {f"{index:03d}": _image(f"{index:03d}", share) for index, share in enumerate(shares)}
    for shard in plan_shards(list(images)):
        commit_shard(store, fingerprint, shard, [images[name] for name in shard.ids])
    counts = sum_counts([image.counts for image in images.values()], 2)
    figures = summary(counts, ["0", "1"], None)
    return EvaluationRecord(
        fingerprint=fingerprint,
        evaluation=spec,
        protocol_hash=protocol_hash(spec.protocol),
        scoring_hash=scoring_hash(spec.protocol),
        figures={key: value for key, value in figures.items() if key != "classes"},
        classes=tuple(ClassFigures(**values) for values in figures["classes"]),
        num_shards=1,
        cost=cost_of([ATTEMPT]),
        finished=TIME,
        provenance={},
    )


def _image(name: str, share: float) -> ImageCounts:
    hits = round(share * PIXELS)
    gt, pred = np.array([0, 0], np.uint16), np.array([0, 1], np.uint16)
    return ImageCounts(name, SparseCounts(gt, pred, np.array([hits, PIXELS - hits], np.int64)))
