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
from functools import cache, partial
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
        return count_by_actors(work, context, self.num_processes)


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
        num_images = arguments.images * len(jobs)
        # Opened once, as it would be for any number of vocabularies.
        plain = partial(_time, cache(opener), arguments.device, Here())
        plain(_jobs(arguments.data, 2, size), folder / "warm-up")
        apart = [plain([job], folder / f"apart-{place}") for place, job in enumerate(jobs)]
        here = plain(jobs, folder / "plain")
        context["a pass a vocabulary, x CPU time"] = round(sum(one.cpu_seconds for one in apart) / here.cpu_seconds, 2)
        row = partial(_row, num_images, here.seconds)
        rows = [
            row("plain loop, a pass a vocabulary", sum(one.seconds for one in apart)),
            row("plain loop, one pass for all", here.seconds),
        ]
        if arguments.actors:
            began = time.perf_counter()
            with connect(arguments.address):
                context["start of Ray s"] = round(time.perf_counter() - began, 2)
                for place, num_actors in enumerate(arguments.actors):
                    timed = TimedOpener(opener, folder / f"imports-{place}")
                    actors = Actors(num_processes=num_actors)
                    there = _time(timed, arguments.device, actors, jobs, folder / f"ray-{place}")
                    name = f"Ray, {num_actors} actor" + ("s" if num_actors > 1 else "")
                    added, imports = added_by_ray(there, num_actors), timed.seconds()
                    per_photograph = added.per_image * num_images / _num_photographs(jobs)
                    rows.append(row(name, there.seconds, imports, added.fixed - imports, 1e3 * per_photograph))
    return Report(name="evaluation", title=f"Evaluation of {num_images} images", rows=rows, context=context)


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


def _time(
    open_model: Callable[[], nn.Module], device: str, executor: Executor, jobs: Sequence[EvaluationJob], folder: Path
) -> Timed:
    store, observer = open_store(str(folder)), Notes()
    for job in jobs:  # so that none are drawn
        put_pictures(store, job.fingerprint, Pictures(pictures=()))
    context = RunContext(store=store, workdir=folder, device=device, observer=observer)
    began, cpu_began = time.perf_counter(), time.process_time()
    with journaled(RunHeader(run=_SUBJECT, name="made"), context) as inner:
        ensure_evaluations(jobs, {_SUBJECT: open_model}, inner, executor)
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


def _row(
    num_images: int,
    plain_seconds: float,
    name: str,
    seconds: float,
    imports: float | None = None,
    added_fixed: float | None = None,
    added_per_photograph: float | None = None,
) -> dict[str, Value]:
    return {
        "way": name,
        "s": seconds,
        "images/s": num_images / seconds,
        "x plain": seconds / plain_seconds,
        "imports s": imports,
        "Ray adds, fixed s": added_fixed,
        "Ray adds, ms/photograph": added_per_photograph,
    }
