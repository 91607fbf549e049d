"""What `ovlab evaluate` has scored: here, one data set after the other, or into a store, by one process or several."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from logoseg.config import ModelConfig
from logoseg.text_encoder import cached_text
from ovlab.cache import text_cache_folder
from ovlab.datasets.opening import open_dataset
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import first_samples
from ovlab.device import pick_device
from ovlab.evaluation.evaluator import evaluate
from ovlab.evaluation.label_space import label_space
from ovlab.evaluation.stored_evaluation import EvaluationJob
from ovlab.evaluation.subject import find_subject
from ovlab.interruption import stop_on_signals
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.summary import summary
from ovlab.progress import open_progress
from ovlab.results.record import EvaluationRecord
from ovlab.results.store import open_store
from ovlab.specs.evaluation import Protocol, protocol_hash, sliding_window, whole, whole_768, with_boundary
from ovlab.sweeps.resolve import resolve_evaluation
from ovlab.sweeps.run import ensure_evaluations
from ovlab.tracking.provenance import provenance
from ovlab.weights import open_model


def score_here(arguments: argparse.Namespace, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The figures of each data set, as soon as they are there. Nothing is kept."""
    model = open_model(arguments.weights, arguments.clip)
    device = pick_device(arguments.device)
    protocol = _protocol(arguments, model.config)
    for name in names:
        dataset = open_dataset(name, arguments.split)
        if arguments.limit is not None:
            dataset = first_samples(dataset, arguments.limit)
        labels = label_space(dataset, arguments.synonyms)
        text = cached_text(model.text_encoder, labels.asked, protocol.prompt_templates, text_cache_folder())
        asked = replace(protocol, scoring=replace(protocol.scoring, collapse=labels.collapse))
        with open_progress(f"evaluate {Path(dataset.name).name}", total=len(dataset), unit="image") as progress:
            images = evaluate(
                model, text, dataset, asked, num_label_classes=len(labels.scored), device=device, progress=progress
            )
            counts = sum_counts((image.counts for image in images), len(labels.scored))
        yield _heading(arguments, dataset.name, asked) | summary(counts, labels.scored, labels.seen)


def score_into_store(arguments: argparse.Namespace, names: Sequence[str]) -> list[dict[str, Any]]:
    """The figures of each data set from its record in the store, after making those that are missing."""
    store = open_store(arguments.store)
    subject = find_subject(arguments.weights, arguments.clip, store)
    protocol = _protocol(arguments, subject.config)

    def job(dataset: SegmentationDataset) -> EvaluationJob:
        spec = resolve_evaluation(subject.fingerprint, dataset, arguments.split, protocol, num_images=arguments.limit)
        return EvaluationJob(spec, dataset)

    jobs = [job(open_dataset(name, arguments.split)) for name in names]
    if arguments.workers == 1:
        make = partial(ensure_evaluations, open_model=subject.open_model, device=pick_device(arguments.device))
    else:
        from ovlab.evaluation.ray_evaluator import ensure_evaluations_on_ray

        make = partial(
            ensure_evaluations_on_ray,
            open_model={subject.fingerprint: subject.open_model},
            device=_actor_device(arguments.device),
            num_actors=arguments.workers,
        )
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals("stopping after this image"))
        progress = stack.enter_context(
            open_progress("evaluate", total=sum(len(one.images) for one in jobs), unit="image")
        )
        records = make(jobs, store, progress=progress, stop=stop, provenance=asdict(provenance()))
    return [
        _heading(arguments, one.spec.benchmark, one.spec.protocol) | _figures(record)
        for one, record in zip(jobs, records, strict=True)
    ]


def _actor_device(name: str) -> torch.device:
    """A GPU of the cluster may be asked for where this machine has none."""
    return pick_device(name) if name == "auto" else torch.device(name)


def _protocol(arguments: argparse.Namespace, model: ModelConfig) -> Protocol:
    """The protocol that the options name, for this model; a data set adds its label space."""
    size = arguments.size or model.clip.image_size
    protocol = {"whole": whole(size), "whole-768": whole_768(), "sliding-window": sliding_window(size)}[
        arguments.protocol
    ]
    protocol = replace(protocol, prompt_templates=model.prompt_templates, synonyms=arguments.synonyms)
    return with_boundary(protocol, arguments.boundary)


def _heading(arguments: argparse.Namespace, data: str, protocol: Protocol) -> dict[str, Any]:
    return {
        "data": data,
        "split": arguments.split,
        "protocol": arguments.protocol,
        "protocol_hash": protocol_hash(protocol),
    }


def _figures(record: EvaluationRecord) -> dict[str, Any]:
    """As `ovlab.metrics.summary` gives them."""
    return {**record.figures, "classes": [asdict(entry) for entry in record.classes]}
