"""Preparing, verifying and reading a split: images a second, and memory against the number of images.

Synthetic photographs of 512 x 683 with label maps of 150 classes are written as an original download would be; then
every step runs in a process of its own, once on a quarter of the images and once on all of them. The peak memory of
the two must be the same. "random" reads and decodes single samples in random order, in one thread. CPU time, all
workers together, says more than the clock on a machine that others use.
"""

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovlab.benchmarks.child_process import ChildMeasurement, measure_in_child
from ovlab.benchmarks.outcome import Report
from ovlab.benchmarks.synthetic_download import open_download, write_download
from ovlab.datasets.original import FolderSplit
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sharded import open_shards, stream
from ovlab.datasets.verify import verify

NUM_CLASSES = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=2000, help="number of images (default: 2000)")
    parser.add_argument("--workers", type=int, default=2, help="processes, and threads when streaming (default: 2)")
    parser.add_argument(
        "--folder", type=Path, help="where to work, and what is made there stays (default: a temporary folder)"
    )


def run(arguments: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as temporary:
        return _compare(arguments.folder or Path(temporary), arguments.images, arguments.workers)


def _compare(folder: Path, num_images: int, num_workers: int) -> Report:
    whole = write_download(folder / "download", num_images=num_images, num_classes=NUM_CLASSES)
    rows = []
    for count in (max(1, num_images // 4), num_images):
        split = open_download(folder / "download", whole.sample_ids[:count], NUM_CLASSES)
        place = folder / f"prepared-{count}"
        shutil.rmtree(place, ignore_errors=True)
        steps: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
            "prepare": (_prepare, (split, str(place), num_workers)),
            "verify": (_verify, (str(place), num_workers)),
            "stream": (_stream, (str(place), num_workers)),
            "random": (_read_at_random, (str(place),)),
        }
        rows += [_row(name, count, measure_in_child(step, *given), place) for name, (step, given) in steps.items()]
    return Report(
        name="data",
        title="Prepared data: rates, and peak memory of a process",
        rows=rows,
        context={"image": "512 x 683", "classes": NUM_CLASSES, "workers": num_workers},
    )


def _prepare(split: FolderSplit, uri: str, num_workers: int) -> None:
    prepare(split, uri, num_workers=num_workers)


def _verify(uri: str, num_workers: int) -> None:
    if not verify(uri, num_workers=num_workers).passed:
        raise RuntimeError(f"{uri} does not verify")


def _stream(uri: str, num_workers: int) -> None:
    for _ in stream(uri, num_threads=num_workers):
        pass


def _read_at_random(uri: str) -> None:
    dataset = open_shards(uri)
    order = list(range(len(dataset)))
    random.Random(0).shuffle(order)
    for index in order:
        dataset[index]


def _row(step: str, count: int, measured: ChildMeasurement, place: Path) -> dict[str, str | int | float | None]:
    mebibytes = sum(path.stat().st_size for path in place.rglob("*.parquet")) / 2**20
    return {
        "step": step,
        "images": count,
        "seconds": measured.seconds,
        "images/s": count / measured.seconds,
        "MiB/s": mebibytes / measured.seconds,
        "CPU ms/img": 1000 * measured.cpu_seconds / count,
        "peak MiB": measured.peak_bytes / 2**20,
        "worker MiB": measured.worker_peak_bytes / 2**20 if measured.worker_peak_bytes else None,
    }
