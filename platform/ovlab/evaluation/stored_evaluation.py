"""An evaluation and the store: which shards are missing, the counts of one shard, and the record of them all.

Each step is a function of its own, so that one process or any number of actors call the same. The record is made from
the counts in the store, never from those in memory, so that its figures are those of the files beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from logoseg.text_encoder import cached_text
from ovlab.cache import text_cache_folder
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import Selection
from ovlab.evaluation.evaluator import evaluate
from ovlab.evaluation.label_space import FirstSamples, LabelSpace, label_space
from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.results.attempts import OpenAttempt, attempts_at
from ovlab.results.record import ClassFigures, EvaluationRecord, cost_of
from ovlab.results.shards import CountShard, committed_shards, plan_shards
from ovlab.results.store import Store
from ovlab.specs.errors import Stopped, WorkError
from ovlab.specs.evaluation import EvaluationSpec, evaluation_fingerprint, protocol_hash, scoring_hash


@dataclass(frozen=True, eq=False, slots=True)
class EvaluationJob:
    """What to evaluate, and the opened split that `spec` names, whole."""

    spec: EvaluationSpec
    dataset: SegmentationDataset

    @property
    def fingerprint(self) -> str:
        return evaluation_fingerprint(self.spec)

    @property
    def images(self) -> SegmentationDataset:
        """Those of the split that are scored."""
        return self.dataset if self.spec.num_images is None else FirstSamples(self.dataset, self.spec.num_images)

    @property
    def labels(self) -> LabelSpace:
        return label_space(self.dataset, self.spec.protocol.synonyms)

    def shards(self) -> tuple[CountShard, ...]:
        return plan_shards(self.images.sample_ids)


def missing_shards(store: Store, job: EvaluationJob) -> tuple[CountShard, ...]:
    """The shards of `job` that are not in the store, or are damaged there, in order."""
    shards = job.shards()
    there = committed_shards(store, job.fingerprint, shards)
    return tuple(shard for shard in shards if shard not in there)


def job_text(model: nn.Module, job: EvaluationJob) -> Float[Tensor, "N P C"]:
    """The features of the names that `job` asks for; `model` has a text_encoder."""
    templates = job.spec.protocol.prompt_templates
    return cached_text(model.text_encoder, job.labels.asked, templates, text_cache_folder())  # type: ignore[arg-type]


def count_shard(
    model: nn.Module,
    text: Float[Tensor, "N P C"],
    job: EvaluationJob,
    shard: CountShard,
    *,
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
    on_image: Callable[[], object] = lambda: None,
) -> list[ImageCounts]:
    """The counts of the images of one shard, to be committed. Raises Stopped when `stop`, asked after each, says so."""
    images = evaluate(
        model,
        text,
        Selection(job.dataset, shard.indices),
        job.spec.protocol,
        num_label_classes=len(job.labels.scored),
        device=device,
    )
    counted = []
    for image in images:
        counted.append(image)
        on_image()
        if len(counted) < len(shard.ids) and stop():
            raise Stopped(f"{job.spec.benchmark}: stopped in shard {shard.file}; the same command continues.")
    return counted


def finish_evaluation(
    store: Store,
    job: EvaluationJob,
    attempt: OpenAttempt,
    *,
    provenance: Mapping[str, Any],
    mlflow_run_id: str | None,
) -> EvaluationRecord:
    """Write the record of an evaluation whose shards are all in the store; returns the one that is there.

    Raises WorkError naming the shards that are missing.
    """
    shards, labels, fingerprint = job.shards(), job.labels, job.fingerprint
    there = committed_shards(store, fingerprint, shards)
    missing = [shard.file for shard in shards if shard not in there]
    if missing:
        raise WorkError(
            f"{job.spec.benchmark}: {len(missing)} of {len(shards)} shards are not in the store, first {missing[0]}; "
            f"the same command counts them."
        )
    counts = sum_counts((image.counts for images in there.values() for image in images), len(labels.scored))
    figures = summary(counts, labels.scored, labels.seen)
    classes = tuple(ClassFigures(**entry) for entry in figures.pop("classes"))
    attempt.end("finished")
    return store.put_evaluation(
        EvaluationRecord(
            fingerprint=fingerprint,
            evaluation=job.spec,
            protocol_hash=protocol_hash(job.spec.protocol),
            scoring_hash=scoring_hash(job.spec.protocol),
            figures=figures,
            classes=classes,
            num_shards=len(shards),
            cost=cost_of(attempts_at(store.folder, fingerprint)),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=dict(provenance),
            mlflow_run_id=mlflow_run_id,
        )
    )
