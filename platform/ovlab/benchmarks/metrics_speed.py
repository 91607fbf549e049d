"""`ovlab bench metrics`: counting the confusion matrix of an image, beside detectron2's formula and torchmetrics.

detectron2's way is one bincount over (N + 1) * prediction + label, with ignored pixels as class N; it is given int64
maps that need no conversion, as is torchmetrics, and the time of adding to a total is not charged to it. Ours reads
uint16. Every call counts all images once, so that no contender sees the same image twice in a row.

Times are CPU times of the one thread: on a machine that others use, the clock would charge the slower contender with
nearly all interruptions.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ovlab.benchmarks.label_pairs import LabelPair, drawn_regions, random_pair, region_pair, stored_regions
from ovlab.benchmarks.outcome import Report, Value
from ovlab.metrics.counting import IGNORE_INDEX, SparseCounts, count_into, sparse_counts

Counted = Int64[np.ndarray, "N N"]
_REFERENCE = "detectron2's formula"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--classes", type=int, nargs="+", default=[150, 847], metavar="N", help="default: 150 847")
    parser.add_argument("--size", type=int, nargs=2, default=[512, 683], metavar=("H", "W"), help="default: 512 683")
    parser.add_argument("--images", type=int, default=8, help="different images a call (default: 8)")
    parser.add_argument(
        "--rounds", type=int, default=9, help="times that all take turns; the median counts (default: 9)"
    )
    parser.add_argument("--labels", type=Path, metavar="DIR", help="take the regions from the PNG label maps there")


def run(arguments: argparse.Namespace) -> Report:
    """Time every contender on maps of regions and on random maps, and check that all count the same."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    shape = (arguments.size[0], arguments.size[1])
    if arguments.labels is None:
        regions = [drawn_regions(shape, generator) for _ in range(arguments.images)]
    else:
        regions = stored_regions(arguments.labels)
    rows: list[dict[str, Value]] = []
    for num_classes in arguments.classes:
        region_pairs = [region_pair(labels, num_classes, generator) for labels in regions]
        noise_pairs = [random_pair(shape, num_classes, generator) for _ in range(arguments.images)]
        rows += _compare("regions", region_pairs, num_classes, arguments.rounds)
        rows += _compare("random", noise_pairs, num_classes, arguments.rounds)
    return Report(
        name="metrics",
        title="Counting (ground truth, prediction) pairs of one image",
        rows=rows,
        context={
            "size of made maps": f"{shape[0]} x {shape[1]}",
            "images": len(regions),
            "regions from": str(arguments.labels or "a generator"),
            "threads": 1,
            "device": "cpu",
        },
    )


def _compare(kind: str, pairs: Sequence[LabelPair], num_classes: int, rounds: int) -> list[dict[str, Value]]:
    contenders = _contenders(pairs, num_classes)
    expected = contenders[_REFERENCE].total()
    # In turns, so that a machine that is busy for a while is busy for all.
    turns = [{name: _cpu_seconds(contender.count_all) for name, contender in contenders.items()} for _ in range(rounds)]
    seconds = {name: statistics.median(turn[name] for turn in turns) for name in contenders}
    return [
        {
            "labels": kind,
            "N": num_classes,
            "contender": name,
            "CPU ms": 1e3 * seconds[name] / len(pairs),
            "times faster": seconds[_REFERENCE] / seconds[name],
            "agrees": "yes" if np.array_equal(contender.total(), expected) else "NO",
        }
        for name, contender in contenders.items()
    ]


def _cpu_seconds(call: Callable[[], None]) -> float:
    """The median of three calls, after one that warms up."""
    call()
    times = []
    for _ in range(3):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return statistics.median(times)


class _Contender(NamedTuple):
    """`count_all` is timed: every image once, no result kept. `total` gives the sum, to be compared."""

    count_all: Callable[[], None]
    total: Callable[[], Counted]


def _contenders(pairs: Sequence[LabelPair], num_classes: int) -> dict[str, _Contender]:
    running_total = np.zeros((num_classes, num_classes), np.int64)
    wide = [_int64_pair(pair, num_classes) for pair in pairs]
    tensors = [(torch.from_numpy(prediction), torch.from_numpy(label)) for prediction, label in wide]
    bincount = partial(_bincount, num_classes)
    into_total = partial(count_into, running_total)
    sparse = partial(sparse_counts, num_classes=num_classes)
    confusion_matrix = _torchmetrics(num_classes)
    return {
        _REFERENCE: _Contender(
            partial(_for_each, bincount, wide),
            # rows prediction, columns ground truth, the last of both for ignored pixels
            lambda: np.sum([bincount(*pair) for pair in wide], axis=0)[:-1, :-1].T,
        ),
        "count_into": _Contender(
            partial(_for_each, into_total, pairs),
            lambda: _into_zeros(pairs, num_classes),
        ),
        "sparse_counts": _Contender(
            partial(_for_each, sparse, pairs),
            lambda: _dense((sparse(*pair) for pair in pairs), num_classes),
        ),
        "torchmetrics": _Contender(
            partial(_for_each, confusion_matrix, tensors),
            lambda: torch.stack([confusion_matrix(*pair) for pair in tensors]).sum(dim=0).numpy(),
        ),
    }


def _for_each(count: Callable[..., object], pairs: Iterable[tuple[Any, Any]]) -> None:
    for prediction, label in pairs:
        count(prediction, label)


def _into_zeros(pairs: Iterable[LabelPair], num_classes: int) -> Counted:
    total = np.zeros((num_classes, num_classes), np.int64)
    for pair in pairs:
        count_into(total, *pair)
    return total


def _dense(images: Iterable[SparseCounts], num_classes: int) -> Counted:
    total = np.zeros((num_classes, num_classes), np.int64)
    for image in images:
        total[image.gt, image.pred] += image.count  # a pair is in an image once
    return total


def _int64_pair(pair: LabelPair, num_classes: int) -> tuple[Int64[np.ndarray, "P"], Int64[np.ndarray, "P"]]:
    """Flat maps in which ignored pixels have the label num_classes."""
    label = pair.label.reshape(-1).astype(np.int64)
    label[label == IGNORE_INDEX] = num_classes
    return pair.prediction.reshape(-1).astype(np.int64), label


def _bincount(
    num_classes: int, prediction: Int64[np.ndarray, "P"], label: Int64[np.ndarray, "P"]
) -> Int64[np.ndarray, "N N"]:
    side = num_classes + 1
    return np.bincount(side * prediction + label, minlength=side**2).reshape(side, side)


def _torchmetrics(num_classes: int) -> Callable[[Tensor, Tensor], Tensor]:
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    return partial(multiclass_confusion_matrix, num_classes=num_classes, ignore_index=num_classes, validate_args=False)
