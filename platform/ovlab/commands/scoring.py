"""What `ovlab evaluate` has scored: what the store lacks is counted, and the scores are those of the records."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import Any

from logoseg.clip.word_list import require_words
from logoseg.token_grid import require_views
from ovlab.commands.executor_option import executor_of
from ovlab.datasets.opening import open_dataset
from ovlab.datasets.sample import SegmentationDataset
from ovlab.methods.registry import own_files
from ovlab.runs.context import RunContext
from ovlab.runs.device import named_device, pick_device
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.interruption import stop_on_signals
from ovlab.runs.journaling import journaled
from ovlab.runs.progress import ProgressLine
from ovlab.runs.subject import find_subject
from ovlab.runs.work import EvaluationJob
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import (
    FIXED_PROTOCOLS,
    SIZED_PROTOCOLS,
    Protocol,
    protocol_hash,
    with_boundary,
    with_oracles,
)
from ovlab.specs.events import RunHeader
from ovlab.specs.method import Model
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import open_store
from ovlab.tracking.provenance import provenance
from ovlab.tracking.tags import run_tags


def score(arguments: argparse.Namespace, names: Sequence[str], place: str) -> list[dict[str, Any]]:
    """The scores of each data set, from its record in the store at `place`, after making those that are missing."""
    # Before anything is read or written. The other processes may be on machines with other devices.
    (pick_device if arguments.workers == 1 else named_device)(arguments.device)
    executor = executor_of(arguments)
    store = open_store(place)
    subject = find_subject(arguments.weights, arguments.clip, store, own_files(arguments.method))
    protocol = _protocol(arguments, subject.config)

    def job(dataset: SegmentationDataset) -> EvaluationJob:
        asked = dataset.label_space(protocol.synonyms).asked
        require_words(subject.config.clip.name, asked, protocol.prompt_templates, dataset.name)
        spec = resolve_evaluation(subject.fingerprint, dataset, arguments.split, protocol, num_images=arguments.limit)
        return EvaluationJob(spec, dataset, subject.untrained, subject.clip_origin)

    jobs = [job(open_dataset(name, arguments.split)) for name in names]
    made_with = provenance()
    header = RunHeader(
        run=subject.fingerprint,
        name=arguments.weights,
        tags=run_tags(
            kind="evaluation",
            fingerprint=subject.fingerprint,
            provenance=made_with,
            data_digests={one.spec.benchmark: one.spec.data_digest for one in jobs},
            protocols={one.spec.benchmark: protocol_hash(one.spec.protocol) for one in jobs},
        ),
    )
    with stop_on_signals("stopping after this image") as stop:
        context = RunContext(
            store=store,
            workdir=Path("runs"),
            device=arguments.device,
            source=made_with.source,
            stop=stop,
            observer=ProgressLine(),
        )
        with journaled(header, context) as inner:
            opener = {subject.fingerprint: subject.open_model}
            records = ensure_evaluations(jobs, opener, inner, executor)
    return [_scores(record, one.images.shapes, arguments) for record, one in zip(records, jobs, strict=True)]


def _protocol(arguments: argparse.Namespace, model: Model) -> Protocol:
    """The protocol that the options name, for this model; a data set adds its label space."""
    name = arguments.protocol
    if name in SIZED_PROTOCOLS:
        protocol = SIZED_PROTOCOLS[name](model.clip.image_size if arguments.size is None else arguments.size)
    elif arguments.size is None:
        protocol = FIXED_PROTOCOLS[name]()
    else:
        raise InputError(f"--size {arguments.size}: --protocol {name} has a size of its own; leave --size out.")
    require_views(model, protocol.inference)
    synonyms = arguments.synonyms or protocol.synonyms
    protocol = replace(protocol, prompt_templates=model.prompt_templates, synonyms=synonyms)
    if arguments.early_rejection is not None:
        if not getattr(model, "auxiliary_heads", False):
            raise InputError(
                f"--early-rejection: {arguments.weights} has no auxiliary heads; train with --set "
                "model.decoder=class_volume --set model.auxiliary_heads=true, or leave it out."
            )
        protocol = replace(protocol, early_rejection=tuple(arguments.early_rejection))
    return with_oracles(with_boundary(protocol, arguments.boundary), arguments.oracle)


def _scores(
    record: EvaluationRecord, shapes: Sequence[tuple[int, int]] | None, arguments: argparse.Namespace
) -> dict[str, Any]:
    """With what they are of, as `ovlab.metrics.summary` gives them; the images have `shapes`, height and width."""
    return {
        "data": record.evaluation.benchmark,
        "split": arguments.split,
        "protocol": arguments.protocol,
        "protocol_hash": record.protocol_hash,
        "longest_side": record.evaluation.longest_side,
        **record.figures,
        "num_ignored_pixels": None
        if shapes is None
        else sum(map(prod, shapes)) - int(record.figures["num_pixels"] or 0),
        "classes": [{**asdict(entry), "in_ground_truth": entry.num_gt_pixels > 0} for entry in record.classes],
    }
