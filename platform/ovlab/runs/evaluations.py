"""Evaluations and the store: what is there is taken from it, what is missing is counted, by whatever executor.

A shard is committed as soon as its last image is in, so that whatever is killed continues with the shards that are
missing. The record is made from the counts in the store, never from those in memory, so that its scores are those of
the files beside it.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from torch import nn

from ovlab.metrics.evaluation_counts import ImageCounts, sum_counts
from ovlab.metrics.summary import summary
from ovlab.runs.context import RunContext
from ovlab.runs.device import device_name, named_device
from ovlab.runs.executor import Executor
from ovlab.runs.identity import longest_side
from ovlab.runs.illustrations import keep_pictures
from ovlab.runs.work import Counted, EvaluationJob, Work, plan_work
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.evaluation import PREDICTION_VERSION, protocol_hash, scoring_hash
from ovlab.specs.events import Begun, Counts
from ovlab.specs.wording import first_names
from ovlab.store.count_shards import CountShard, commit_shard, committed_shards, discard_counts
from ovlab.store.counts import counts_digest
from ovlab.store.pairs import stored_counts
from ovlab.store.record import ClassFigures, DamagedError, EvaluationRecord
from ovlab.store.store import RECORD, Store, evaluation_folder
from ovlab.tracking.provenance import provenance

_log = logging.getLogger(__name__)


def ensure_evaluations(
    jobs: Sequence[EvaluationJob],
    open_model: Mapping[str, Callable[[], nn.Module]],
    context: RunContext,
    executor: Executor,
) -> list[EvaluationRecord]:
    """The records of evaluations of one subject or several, in the order of `jobs`, after making the missing ones and
    those whose counts are no longer those of the record.

    `open_model`: see Work. No network is opened where no image is to be counted and all pictures are there. Raises
    InputError where the data of a job are not those of its spec, WorkError naming images that went in and did not come
    out, and whatever the executor raises, Stopped among it.
    """
    asked = {job.fingerprint: job for job in jobs}
    records = {name: record for name in asked if (record := _sound_record(context.store, name)) is not None}
    missing = [job for name, job in asked.items() if name not in records]
    for job in missing:
        require_same_data(job)
        # Of the whole split, however few of it are scored: refuses labels that cannot be meant so.
        job.dataset.label_pixels()
    if missing:
        records |= _make(missing, open_model, context, executor)
    # Here: those of the executor may be in other processes, or are closed by now.
    opened = lru_cache(maxsize=1)(lambda subject: open_model[subject]())
    for name, job in asked.items():
        keep_pictures(records[name], job, context, partial(opened, job.spec.subject))
        context.listeners.on_record(records[name])
    return [records[job.fingerprint] for job in jobs]


def require_same_data(job: EvaluationJob) -> None:
    """Raise InputError unless the opened data, and the version of what predicts, are those that the spec was made with:
    another machine may have others."""
    spec, labels = job.spec, job.labels
    scoring = replace(spec.protocol.scoring, collapse=labels.collapse)
    found = replace(
        spec,
        benchmark=job.dataset.name,
        data_digest=job.dataset.digest,
        vocabulary_digest=labels.digest,
        protocol=replace(spec.protocol, scoring=scoring),
        prediction_version=PREDICTION_VERSION,
        longest_side=longest_side(job.dataset, spec.protocol),
    )
    if found != spec:
        raise InputError(
            f"evaluation {job.fingerprint[:12]}: the data of {job.dataset.name}, or the version of the program, are "
            f"not those it was planned with ({spec.benchmark}, {spec.split}). Give those, or plan again."
        )


def missing_shards(store: Store, job: EvaluationJob) -> tuple[CountShard, ...]:
    """The shards of `job` that are not in the store, or are damaged there, in order."""
    shards = job.shards()
    there = committed_shards(store, job.fingerprint, shards)
    return tuple(shard for shard in shards if shard not in there)


def _sound_record(store: Store, fingerprint: str) -> EvaluationRecord | None:
    """The record in the store. One that is parted from its counts is named in a warning and removed, with the counts
    that it was not made of: the evaluation goes on as one that was killed before its end."""
    record = store.evaluation(fingerprint)
    if record is None:
        return None
    try:
        stored_counts(store, record)
    except DamagedError as error:
        _log.warning("%s", error)
        discard_counts(store, fingerprint, record.count_digests or {})
        store.folder.remove(f"{evaluation_folder(fingerprint)}/{RECORD}")
        return None
    return record


def _make(
    jobs: Sequence[EvaluationJob],
    open_model: Mapping[str, Callable[[], nn.Module]],
    context: RunContext,
    executor: Executor,
) -> dict[str, EvaluationRecord]:
    """Count what is missing of `jobs`, which have no record; their records by fingerprint."""
    missing = [missing_shards(context.store, job) for job in jobs]
    device = named_device(context.device)
    for job, shards in zip(jobs, missing, strict=True):
        context.listeners.on_begin(
            Begun(
                work="evaluation",
                fingerprint=job.fingerprint,
                device=device_name(device),
                num_gpus=1 if device.type == "cuda" else 0,
                total=len(job.images),
                num_done=len(job.images) - sum(len(shard.ids) for shard in shards),
            )
        )
    made = {job.fingerprint: _put_record(job, context) for job, shards in zip(jobs, missing, strict=True) if not shards}
    work = plan_work(jobs, missing, open_model)
    if not work.shards:
        return made
    with ExitStack() as stack:
        stream = executor.count(work, context)
        if isinstance(stream, Generator):  # its network, or its Ray, is let go of whatever happens here
            stack.enter_context(closing(stream))
        return made | _commit(work, missing, stream, context)


def _commit(
    work: Work, missing: Sequence[Sequence[CountShard]], stream: Iterable[Counted], context: RunContext
) -> dict[str, EvaluationRecord]:
    """Commit shards as they become whole, write a record with the last of an evaluation, and tell of all that."""
    made = {}
    fingerprints = [job.fingerprint for job in work.jobs]
    planned = [{shard.file: shard for shard in shards} for shards in missing]
    arrived: list[dict[int, dict[str, ImageCounts]]] = [{job: {} for job in shard.jobs} for shard in work.shards]
    for number, counts, seconds, process_seconds in stream:
        shard, there = work.shards[number], arrived[number]
        for job, images in counts.items():
            there[job].update((image.id, image) for image in images)
        is_whole = all(name in images for images in there.values() for name in shard.ids)
        for job, images in counts.items():
            if is_whole:
                part = planned[job].pop(shard.file)
                commit_shard(context.store, fingerprints[job], part, list(there[job].values()))
            spec = work.jobs[job].spec
            context.listeners.on_counts(
                Counts(
                    evaluation=fingerprints[job],
                    subject=spec.subject,
                    benchmark=spec.benchmark,
                    num_images=len(images),
                    seconds=seconds / len(counts),
                    process_seconds=process_seconds / len(counts),
                    shard=shard.file,
                    num_shards=int(is_whole),
                    num_shards_left=len(planned[job]),
                )
            )
            if not planned[job]:
                made[fingerprints[job]] = _put_record(work.jobs[job], context)
    _require_all(work, arrived)
    return made


def _require_all(work: Work, arrived: Sequence[Mapping[int, Mapping[str, ImageCounts]]]) -> None:
    """Raise WorkError naming the images that went in and did not come out."""
    counted = {number: frozenset.intersection(*map(frozenset, there.values())) for number, there in enumerate(arrived)}
    lost = [name for shard in work.without(counted).shards for name in shard.ids]
    if lost:
        raise WorkError(
            f"{len(lost)} images went in and did not come out: {first_names(lost)}; the same command counts them."
        )


def _put_record(job: EvaluationJob, context: RunContext) -> EvaluationRecord:
    """Write the record of an evaluation whose shards are all in the store; returns the one that is there.

    Raises WorkError naming the shards that are missing.
    """
    store, shards, labels, fingerprint = context.store, job.shards(), job.labels, job.fingerprint
    there = committed_shards(store, fingerprint, shards)
    missing = [shard.file for shard in shards if shard not in there]
    if missing:
        raise WorkError(
            f"{job.spec.benchmark}: {len(missing)} of {len(shards)} shards are not in the store, first {missing[0]}; "
            f"the same command counts them."
        )
    images = (image for counts in there.values() for image in counts.images())
    counts = sum_counts((image.counts for image in images), len(labels.scored))
    scores = summary(counts, labels.scored, labels.seen)
    classes = tuple(ClassFigures(**entry) for entry in scores.pop("classes"))
    return store.put_evaluation(
        EvaluationRecord(
            fingerprint=fingerprint,
            evaluation=job.spec,
            protocol_hash=protocol_hash(job.spec.protocol),
            scoring_hash=scoring_hash(job.spec.protocol),
            figures=scores,
            classes=classes,
            num_shards=len(shards),
            cost=context.finished_cost(fingerprint),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance={
                **asdict(provenance(context.source)),
                **({} if job.clip_origin is None else {"clip": job.clip_origin}),
            },
            seen=None if labels.seen is None else tuple(labels.seen.tolist()),
            untrained=job.untrained,
            count_digests={shard.file: counts_digest(there[shard]) for shard in shards},
        )
    )
