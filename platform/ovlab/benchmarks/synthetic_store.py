"""A store of runs that never were: records and per-image counts as those of Tables 1-5 of the shapes suite."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from ovlab.benchmarks.synthetic_counts import synthetic_runs
from ovlab.metrics.counting import SparseCounts
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.shapes.shapes_benchmarks import ShapesBenchmark, shapes_benchmark
from ovlab.specs.evaluation import EvaluationSpec, Protocol, evaluation_fingerprint, protocol_hash, scoring_hash
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import EVALUATION_SPLIT, SHAPES
from ovlab.specs.table import Table, Variation
from ovlab.store.count_shards import plan_shards
from ovlab.store.counts import counts_digest, pack_counts, unpack_columns
from ovlab.store.record import Attempt, ClassFigures, EvaluationRecord, StoredFile, TrainingRecord, cost_of, pack_record
from ovlab.store.store import RECORD, evaluation_folder, training_folder

_TIME = "2026-01-02T03:04:05+00:00"
_ATTEMPT = Attempt(
    id="1",
    began=_TIME,
    updated=_TIME,
    status="finished",
    device="cpu",
    num_gpus=0,
    seconds=1.0,
    kept_seconds=1.0,
)
_COST = cost_of([_ATTEMPT])


def fill(folder: Path, tables: Sequence[Table], num_runs: int) -> None:
    """Make `folder` a store of `num_runs` trainings of LoGoSeg with their evaluations: those of the tables, then
    further seeds.

    The files are those that a store writes, though not as it writes them: nothing waits for the disk.
    """
    for training, protocol, benchmarks in islice(_runs(tables), num_runs):
        _put(folder / training_folder(training.fingerprint) / RECORD, pack_record(training))
        for benchmark in benchmarks:
            _evaluate(folder, training.fingerprint, benchmark, protocol)


def _runs(tables: Sequence[Table]) -> Iterator[tuple[TrainingRecord, Protocol, tuple[str, ...]]]:
    """Every training once, with the protocol and the benchmarks of its row."""
    known = set()
    for variation, seed, benchmarks in chain(_declared(tables), _further(tables)):
        spec = variation.training(SHAPES, seed)
        resolved = ResolvedTraining(
            spec=spec, data_digest=_digest(spec.dataset), weights_digest=_digest(spec.model.clip.name)
        )
        fingerprint = training_fingerprint(resolved)
        if fingerprint in known:
            continue
        known.add(fingerprint)
        record = TrainingRecord(
            fingerprint=fingerprint,
            training=resolved,
            class_names=shapes_benchmark(spec.dataset).class_names,
            num_steps=spec.schedule.steps,
            final_loss=0.5,
            weights=StoredFile(name="weights.safetensors", sha256=fingerprint, num_bytes=1),
            cost=_COST,
            finished=_TIME,
            provenance={},
        )
        yield record, variation.protocol(SHAPES, spec.model), benchmarks


def _declared(tables: Iterable[Table]) -> Iterator[tuple[Variation, int, tuple[str, ...]]]:
    for table in tables:
        benchmarks = tuple(dict.fromkeys(SHAPES.benchmark(column.benchmark) for column in table.columns))
        for row in table.rows:
            if isinstance(row.run, Variation) and row.run.method is None:
                yield from ((row.run, seed, benchmarks) for seed in table.seeds)


def _further(tables: Sequence[Table]) -> Iterator[tuple[Variation, int, tuple[str, ...]]]:
    """The same rows with seeds that no table has, without end."""
    for more in count(100, 100):
        yield from ((variation, seed + more, benchmarks) for variation, seed, benchmarks in _declared(tables))


def _evaluate(folder: Path, training: str, name: str, protocol: Protocol) -> None:
    benchmark = shapes_benchmark(name)
    spec = EvaluationSpec(
        subject=training,
        benchmark=name,
        split=EVALUATION_SPLIT,
        data_digest=_digest(name),
        vocabulary_digest=_digest(name),
        protocol=protocol,
    )
    fingerprint = evaluation_fingerprint(spec)
    images = _counted(benchmark, np.random.default_rng(int(fingerprint[:8], 16)))
    by_id = {image.id: image for image in images}
    shards = plan_shards(list(by_id))
    place = folder / evaluation_folder(fingerprint)
    digests = {}
    for shard in shards:
        content = pack_counts([by_id[image] for image in shard.ids])
        digests[shard.file] = counts_digest(unpack_columns(content, place=shard.file))
        _put(place / "counts" / shard.file, content)
    counts = sum_counts([image.counts for image in images], len(benchmark.class_names))
    figures = summary(counts, benchmark.class_names, np.array(benchmark.seen))
    record = EvaluationRecord(
        fingerprint=fingerprint,
        evaluation=spec,
        protocol_hash=protocol_hash(protocol),
        scoring_hash=scoring_hash(protocol),
        figures={key: value for key, value in figures.items() if key != "classes"},
        classes=tuple(ClassFigures(**values) for values in figures["classes"]),
        num_shards=len(shards),
        cost=_COST,
        finished=_TIME,
        provenance={},
        count_digests=digests,
    )
    _put(place / RECORD, pack_record(record))


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _counted(benchmark: ShapesBenchmark, generator: np.random.Generator) -> list[ImageCounts]:
    """Of every class of an image a share is found, and the rest is taken for one other class."""
    num_classes = len(benchmark.class_names)
    images = []
    for row, pixels in enumerate(_ground_truth(benchmark.name)):
        (present,) = np.nonzero(pixels)
        hits = (pixels[present] * generator.beta(2, 2, len(present))).astype(np.int64)
        others = (present + generator.integers(1, num_classes, len(present))) % num_classes
        gt, pred = np.tile(present, 2), np.concatenate([present, others])
        number = np.concatenate([hits, pixels[present] - hits])
        order = np.lexsort((pred, gt))
        order = order[number[order] > 0]
        sparse = SparseCounts(gt[order].astype(np.uint16), pred[order].astype(np.uint16), number[order])
        images.append(ImageCounts(f"{row:06d}", sparse))
    return images


@cache
def _ground_truth(name: str) -> Int64[np.ndarray, "I N"]:
    """The same for every run; it seeds nothing, so that benchmarks differ by their sizes alone."""
    benchmark = shapes_benchmark(name)
    (counts,) = synthetic_runs(benchmark.splits[EVALUATION_SPLIT].num_samples, len(benchmark.class_names))
    return counts.gt


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
