"""Evaluation in one process, and over Ray with 1 and 2 actors, on the same images in one run; then what Ray adds.

Two vocabularies on the same photographs are evaluated, so that the row before the plain loop can show what sharing the
image encoder saves. Weights are random: they change no time.

What Ray adds is the time of the pipeline, after the connection, less the work of its actors divided by their number
(reading, encoder, head, counting and the opening of the network). It is measured with two numbers of photographs: the
slope is the cost of one, the rest is fixed. The start of an actor's process, which imports torch, is in the fixed part.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from logoseg.checkpoint import save_weights
from logoseg.network import LoGoSeg
from logoseg.presets import PRESETS
from ovlab.benchmarks.report import Report, Value
from ovlab.cluster import connect
from ovlab.datasets.opening import open_dataset
from ovlab.evaluation.passes import plan_passes
from ovlab.evaluation.ray_evaluator import ensure_evaluations_on_ray
from ovlab.evaluation.stored_evaluation import EvaluationJob
from ovlab.results.record import EvaluationRecord
from ovlab.results.store import open_store
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import whole
from ovlab.sweeps.resolve import resolve_evaluation
from ovlab.sweeps.run import ensure_evaluations
from ovlab.weights import open_model

_SUBJECT = "0" * 64


class _Run(NamedTuple):
    """`seconds` by the clock, and those of work on the evaluations, over all workers."""

    seconds: float
    busy: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="shapes-vit-s", choices=sorted(PRESETS), help="default: shapes-vit-s")
    parser.add_argument(
        "--data", nargs="+", default=["shapes-pas-20", "shapes-pas-20b"], help="default: shapes-pas-20 shapes-pas-20b"
    )
    parser.add_argument(
        "--images", type=int, nargs=2, default=[64, 512], metavar=("FEW", "MANY"), help="of each set (default 64 512)"
    )
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2], help="sizes of the pool (default 1 2)")
    parser.add_argument("--address", help="of a Ray that runs already (default: one is started)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def run(arguments: argparse.Namespace) -> Report:
    """One row each for separate passes, the plain loop, and every number of actors."""
    few, many = arguments.images
    if not 1 <= few < many:
        raise InputError(f"bench evaluation: --images must be two numbers, the second larger; got {few} and {many}.")
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    config = PRESETS[arguments.preset]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(0)
        save_weights(LoGoSeg(config).eval(), config, ("any",), folder / "weights.safetensors")
        opener = partial(open_model, str(folder / "weights.safetensors"))
        jobs = {num: _jobs(arguments.data, num, config.clip.image_size) for num in (few, many)}
        plain = partial(ensure_evaluations, open_model=opener, device=device)
        _time(plain, jobs[few], folder / "warm-up")
        here = _time(plain, jobs[many], folder / "plain")
        apart = [_time(plain, [job], folder / f"apart-{place}") for place, job in enumerate(jobs[many])]
        seconds_apart = sum(one.seconds for one in apart)
        num_images = many * len(arguments.data)
        num_photographs = {num: _num_photographs(of_num) for num, of_num in jobs.items()}
        rows = [
            _row("plain loop, a pass a vocabulary", num_images, seconds_apart, here.seconds),
            _row("plain loop, one pass for all", num_images, here.seconds, here.seconds),
        ]
        began = time.perf_counter()
        with connect(arguments.address) as cluster:
            start = time.perf_counter() - began
            for num_actors in arguments.actors:
                over_ray = partial(
                    ensure_evaluations_on_ray,
                    open_model={_SUBJECT: opener},
                    device=device,
                    num_actors=num_actors,
                    small_work_seconds=0.0,
                )
                less = _time(over_ray, jobs[few], folder / f"few-{num_actors}")
                more = _time(over_ray, jobs[many], folder / f"many-{num_actors}")
                name = f"Ray, {num_actors} actor" + ("s" if num_actors > 1 else "")
                added = [one.seconds - one.busy / num_actors for one in (less, more)]
                slope = (added[1] - added[0]) / (num_photographs[many] - num_photographs[few])
                row = _row(name, num_images, more.seconds, here.seconds)
                fixed = added[0] - slope * num_photographs[few]
                rows.append(row | {"Ray adds, fixed s": fixed, "Ray adds, ms/photograph": 1e3 * slope})
            context: dict[str, Value] = {
                "preset": arguments.preset,
                "data": "+".join(arguments.data),
                "device": arguments.device,
                "start of Ray s": round(start, 2),
                "CPUs": cluster.num_cpus,
            }
    return Report(name="evaluation", title=f"Evaluation of {num_images} images", rows=rows, context=context)


def _jobs(names: Sequence[str], num_images: int, size: int) -> list[EvaluationJob]:
    datasets = [open_dataset(name, "val", num_samples=num_images) for name in names]
    return [EvaluationJob(resolve_evaluation(_SUBJECT, data, "val", whole(size)), data) for data in datasets]


def _num_photographs(jobs: Sequence[EvaluationJob]) -> int:
    """Those that are shown to a network: evaluations of the same ones share them."""
    passes = plan_passes(jobs, {number: job.shards() for number, job in enumerate(jobs)})
    return sum(len(one.images) for one in passes)


def _time(evaluate: Callable[..., list[EvaluationRecord]], jobs: Sequence[EvaluationJob], folder: Path) -> _Run:
    began = time.perf_counter()
    records = evaluate(jobs, open_store(str(folder)))
    return _Run(time.perf_counter() - began, sum(record.cost.seconds for record in records))


def _row(name: str, num_images: int, seconds: float, plain_seconds: float) -> dict[str, Value]:
    return {
        "way": name,
        "s": seconds,
        "images/s": num_images / seconds,
        "x plain": seconds / plain_seconds,
        "Ray adds, fixed s": None,
        "Ray adds, ms/photograph": None,
    }
