"""Evaluation in one process, and over Ray with 1 and 2 actors, on the same images in one run; then what Ray adds.

Two vocabularies on the same photographs are evaluated, so that the row before the plain loop can show what sharing the
image encoder saves. Weights are random: they change no time.

What Ray adds is the time of the pipeline, after the connection, less the work of its actors (reading, encoder, head,
counting and the opening of the network) divided by their number. While images come in, it is the cost of one; the rest
is fixed, but for the imports of any process that evaluates (torch, open_clip): each actor measures its own, and they
have a column of theirs. `--preset blank`, a model that does nothing, shows it best. The first pipeline meets a Ray
whose own processes still start; `--actors 1 1` shows a second one beside it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from ovlab.benchmarks.actor_imports import TimedOpener
from ovlab.benchmarks.blank_model import BlankModel
from ovlab.benchmarks.outcome import Report, Value
from ovlab.datasets.opening import open_dataset
from ovlab.ray.cluster import connect
from ovlab.ray.on_ray import OnRay
from ovlab.ray.pipeline import count_by_actors
from ovlab.runs.context import RunContext
from ovlab.runs.evaluations import ensure_evaluations
from ovlab.runs.executor import Executor
from ovlab.runs.here import Here
from ovlab.runs.identity import resolve_evaluation
from ovlab.runs.journaling import journaled
from ovlab.runs.observer import Observer
from ovlab.runs.subject import find_subject
from ovlab.runs.work import Counted, EvaluationJob, Work, plan_work
from ovlab.specs.evaluation import whole
from ovlab.specs.events import Counts, RunHeader
from ovlab.store.pictures import Pictures, put_pictures
from ovlab.store.store import open_store

_SUBJECT = "0" * 64
_BLANK = "blank"
_BLANK_SIZE = 96
# Of the images; until they are in, not every actor is at work.
_WARM_UP = 0.25


class Note(NamedTuple):
    """Counts of so many images came in, at a time on the clock, that a worker was at for so many seconds."""

    time: float
    num_images: int
    work: float


class Opened(NamedTuple):
    """What opens the network, and the device that it works on."""

    open_model: Callable[[], nn.Module]
    device: str


class Timed(NamedTuple):
    """`seconds` by the clock, and `cpu_seconds` of this process."""

    seconds: float
    cpu_seconds: float
    notes: Sequence[Note]


class Added(NamedTuple):
    """Seconds."""

    fixed: float
    per_image: float


class Notes(Observer):
    """Of all counts that it hears of."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def on_counts(self, counts: Counts) -> None:
        self.notes.append(Note(time.perf_counter(), counts.num_images, counts.seconds))


class Actors(OnRay):
    """However small the work is."""

    def count(self, work: Work, context: RunContext) -> Iterator[Counted]:
        return count_by_actors(work, context, self.num_actors)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset",
        default="shapes-vit-s",
        choices=sorted([*PRESETS, _BLANK]),
        help="default: shapes-vit-s; blank: a model that does nothing",
    )
    parser.add_argument(
        "--data", nargs="+", default=["shapes-pas-20", "shapes-pas-20b"], help="default: shapes-pas-20 shapes-pas-20b"
    )
    parser.add_argument("--images", type=int, default=512, help="of each set (default: 512)")
    parser.add_argument(
        "--actors",
        type=int,
        nargs="*",
        default=[1, 2],
        help="sizes of the pool, one pipeline each (default: 1 2); none: without Ray",
    )
    parser.add_argument("--address", help="of a Ray that runs already (default: one is started)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def run(arguments: argparse.Namespace) -> Report:
    """One row each for separate passes, the plain loop, and every number of actors."""
    torch.set_num_threads(1)
    context: dict[str, Value] = {
        "preset": arguments.preset,
        "data": "+".join(arguments.data),
        "device": arguments.device,
        "CPUs": os.cpu_count(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opener, size = _model(arguments.preset, folder)
        jobs = _jobs(arguments.data, arguments.images, size)
        # Opened once, as it would be for any number of vocabularies.
        subject = Opened(cache(opener), arguments.device)
        _time(subject, Here(), _jobs(arguments.data, 2, size), folder / "warm-up")
        apart = [_time(subject, Here(), [job], folder / f"apart-{place}") for place, job in enumerate(jobs)]
        here = _time(subject, Here(), jobs, folder / "plain")
        num_images = arguments.images * len(jobs)
        seconds_apart = sum(one.seconds for one in apart)
        rows = [
            _row("plain loop, a pass a vocabulary", num_images, seconds_apart, here.seconds),
            _row("plain loop, one pass for all", num_images, here.seconds, here.seconds),
        ]
        cpu_apart = sum(one.cpu_seconds for one in apart)
        context["a pass a vocabulary, x CPU time"] = round(cpu_apart / here.cpu_seconds, 2)
        if arguments.actors:
            _add_ray(rows, context, arguments, jobs, opener, here.seconds, folder)
    return Report(name="evaluation", title=f"Evaluation of {num_images} images", rows=rows, context=context)


def _add_ray(
    rows: list[dict[str, Value]],
    context: dict[str, Value],
    arguments: argparse.Namespace,
    jobs: Sequence[EvaluationJob],
    opener: Callable[[], nn.Module],
    plain_seconds: float,
    folder: Path,
) -> None:
    num_images = arguments.images * len(jobs)
    began = time.perf_counter()
    with connect(arguments.address):
        context["start of Ray s"] = round(time.perf_counter() - began, 2)
        for place, num_actors in enumerate(arguments.actors):
            timed = TimedOpener(opener, folder / f"imports-{place}")
            there = _time(
                Opened(timed, arguments.device), Actors(num_processes=num_actors), jobs, folder / f"ray-{place}"
            )
            name = f"Ray, {num_actors} actor" + ("s" if num_actors > 1 else "")
            added = added_by_ray(there, num_actors)
            row = _row(name, num_images, there.seconds, plain_seconds)
            row["imports s"] = imports = timed.seconds()
            row["Ray adds, fixed s"] = added.fixed - imports
            row["Ray adds, ms/photograph"] = 1e3 * added.per_image * num_images / _num_photographs(jobs)
            rows.append(row)


def _model(preset: str, folder: Path) -> tuple[Callable[[], nn.Module], int]:
    """What opens it in any process, and the size at which it sees an image."""
    if preset == _BLANK:
        return BlankModel, _BLANK_SIZE
    config = PRESETS[preset]()
    weights = folder / "weights.safetensors"
    torch.manual_seed(0)
    save_weights(LoGoSeg(config).eval(), config, ("any",), weights)
    return find_subject(str(weights)).open_model, config.clip.image_size


def _jobs(names: Sequence[str], num_images: int, size: int) -> list[EvaluationJob]:
    datasets = [open_dataset(name, "val", num_samples=num_images) for name in names]
    return [EvaluationJob(resolve_evaluation(_SUBJECT, data, "val", whole(size)), data) for data in datasets]


def _num_photographs(jobs: Sequence[EvaluationJob]) -> int:
    """Those that are shown to a network: evaluations of the same ones share them."""
    return plan_work(jobs, [job.shards() for job in jobs], {}).num_images


def _time(subject: Opened, executor: Executor, jobs: Sequence[EvaluationJob], folder: Path) -> Timed:
    store, observer = open_store(str(folder)), Notes()
    for job in jobs:  # so that none are drawn
        put_pictures(store, job.fingerprint, Pictures(pictures=()))
    context = RunContext(store=store, workdir=folder, device=subject.device, observer=observer)
    began, cpu_began = time.perf_counter(), time.process_time()
    with journaled(RunHeader(run=_SUBJECT, name="made"), context) as inner:
        ensure_evaluations(jobs, {_SUBJECT: subject.open_model}, inner, executor)
    return Timed(time.perf_counter() - began, time.process_time() - cpu_began, observer.notes)


def added_by_ray(there: Timed, num_actors: int) -> Added:
    """The cost of an image, from the time after the first ones were in; and what else is no work of an actor."""
    num_images = sum(note.num_images for note in there.notes)
    done, warm = 0, 0
    while done < _WARM_UP * num_images:
        done += there.notes[warm].num_images
        warm += 1
    later = there.notes[warm:]
    seconds = there.notes[-1].time - there.notes[warm - 1].time
    per_image = (seconds - sum(note.work for note in later) / num_actors) / max(1, num_images - done)
    work = sum(note.work for note in there.notes) / num_actors
    return Added(there.seconds - work - per_image * num_images, per_image)


def _row(name: str, num_images: int, seconds: float, plain_seconds: float) -> dict[str, Value]:
    return {
        "way": name,
        "s": seconds,
        "images/s": num_images / seconds,
        "x plain": seconds / plain_seconds,
        "imports s": None,
        "Ray adds, fixed s": None,
        "Ray adds, ms/photograph": None,
    }
