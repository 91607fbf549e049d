"""What travels between the process that asks for evaluations and the actors that count: tables, never an image.

In: the manifest, a row an image. Out: a row a pass and an evaluation, with the sparse counts of its images as one small
file, whose checksum is read on arrival.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from ovlab.files.columns import binary_column, int32_column, list_column, number_column, string_column
from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.runs.collection import Collection
from ovlab.runs.passes import Counter, PassImage
from ovlab.runs.stored_evaluation import EvaluationJob
from ovlab.specs.errors import InputError
from ovlab.store.counts import pack_counts, unpack_counts


def manifest(collection: Collection, images_per_block: int) -> Iterator[pa.Table]:
    """A table a block, of one pass each, in the order of the passes: which image, and where it is in each data set."""
    for number, one in enumerate(collection.passes):
        left = collection.left(number)
        for start in range(0, len(left), images_per_block):
            part = left[start : start + images_per_block]
            yield pa.table(
                {
                    "pass": int32_column([number] * len(part)),
                    "jobs": _lists([one.jobs] * len(part)),
                    "id": string_column([image.id for image in part]),
                    "indices": _lists([image.indices for image in part]),
                    "num_pixels": number_column(np.array([image.num_pixels for image in part], np.int64)),
                }
            )


def take(collection: Collection, block: pa.Table) -> list[str]:
    """Add what an actor gave out to the collection; returns a line for each image that it could not count."""
    problems: list[str] = []
    for number, rows in groupby(block.to_pylist(), key=lambda row: row["pass"]):
        counted = {}
        seconds = 0.0
        for row in rows:
            counted[row["job"]] = unpack_counts(row["counts"], place=f"pass {number}")
            seconds += row["seconds"]
            problems += row["problems"].splitlines()
        collection.add(number, counted, seconds)
    return problems


class CountingActor:
    """A network in a process of its own. A block of the manifest goes in, the counts of its images come out."""

    def __init__(
        self, jobs: Sequence[EvaluationJob], open_model: Mapping[str, Callable[[], nn.Module]], device: str
    ) -> None:
        torch.set_num_threads(1)
        self.jobs = jobs
        self.counter = Counter(jobs, open_model, torch.device(device))

    def __call__(self, block: pa.Table) -> pa.Table:
        """A row a pass and an evaluation in it; an image that cannot be read leaves its reason and no counts."""
        tables = [
            self._count(number, list(rows)) for number, rows in groupby(block.to_pylist(), key=lambda row: row["pass"])
        ]
        return pa.concat_tables(tables)

    def _count(self, number: int, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        began = time.perf_counter()
        jobs = rows[0]["jobs"]
        images = [PassImage(row["id"], tuple(row["indices"]), row["num_pixels"]) for row in rows]
        problems: list[str] = []
        try:
            counted = list(self.counter.count(jobs, images))
        except (InputError, OSError):
            counted = list(self._one_by_one(jobs, images, problems))
        seconds = time.perf_counter() - began
        per_job = [[image[place] for image in counted] for place in range(len(jobs))]
        return _counts_table(number, jobs, per_job, seconds, "\n".join(problems))

    def _one_by_one(
        self, jobs: Sequence[int], images: Sequence[PassImage], problems: list[str]
    ) -> Iterator[tuple[ImageCounts, ...]]:
        for image in images:
            try:
                yield from self.counter.count(jobs, [image])
            except (InputError, OSError) as error:
                benchmark = self.jobs[jobs[0]].spec.benchmark
                reason = " ".join(str(error).split())
                problems.append(f"{benchmark}: image {image.id!r} cannot be counted: {reason}")


def _counts_table(
    number: int, jobs: Sequence[int], counted: Sequence[Sequence[ImageCounts]], seconds: float, problems: str
) -> pa.Table:
    return pa.table(
        {
            "pass": int32_column([number] * len(jobs)),
            "job": int32_column(jobs),
            "counts": binary_column([pack_counts(images) for images in counted]),
            "seconds": number_column(np.full(len(jobs), seconds / len(jobs))),
            # Once for all evaluations of the pass.
            "problems": string_column([problems] + [""] * (len(jobs) - 1)),
        }
    )


def _lists(rows: Sequence[Sequence[int]]) -> pa.Array:
    return list_column([np.array(row, np.int64) for row in rows], np.int64)
