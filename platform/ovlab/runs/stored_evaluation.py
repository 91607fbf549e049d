"""An evaluation and the store: which shards are missing, and the record of them all.

Each step is a function of its own, so that one process or any number of actors call the same. The record is made from
the counts in the store, never from those in memory, so that its figures are those of the files beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from logoseg.clip.text_encoder import cached_text
from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import first_samples
from ovlab.files.cache import text_cache_folder
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.summary import summary
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.evaluation import EvaluationSpec, evaluation_fingerprint, protocol_hash, scoring_hash
from ovlab.store.attempts import OpenAttempt, attempts_at
from ovlab.store.count_shards import CountShard, committed_shards, plan_shards
from ovlab.store.record import ClassFigures, EvaluationRecord, cost_of
from ovlab.store.store import Store


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
        return self.dataset if self.spec.num_images is None else first_samples(self.dataset, self.spec.num_images)

    @property
    def labels(self) -> LabelSpace:
        return self.dataset.label_space(self.spec.protocol.synonyms)

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


def require_same_data(job: EvaluationJob) -> None:
    """Raise InputError unless the opened data are those that the spec was made with."""
    spec, labels = job.spec, job.labels
    scoring = replace(spec.protocol.scoring, collapse=labels.collapse)
    found = replace(
        spec,
        benchmark=job.dataset.name,
        data_digest=job.dataset.digest,
        vocabulary_digest=labels.digest,
        protocol=replace(spec.protocol, scoring=scoring),
    )
    if found != spec:
        raise InputError(
            f"evaluation {job.fingerprint[:12]}: the data of {job.dataset.name} are not those it was planned with "
            f"({spec.benchmark}, {spec.split}). Give those, or plan again."
        )


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
            seen=None if labels.seen is None else tuple(labels.seen.tolist()),
        )
    )
