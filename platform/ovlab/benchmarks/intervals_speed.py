"""`ovlab bench intervals`: the image bootstrap as a product of matrices, beside loops over resamples.

All contenders draw the same images and give the same scores, all of them: mIoU in both conventions, over seen and over
unseen classes, fwIoU, pixel and mean accuracy, hallucination rate. The first loop takes the counts of the drawn images
and adds them up, as one would write it; the second is better, one row of weights times the table for each resample.
BLAS is given the dense table and all weights at once, ours only the cells that are not zero. No loop is charged for
scoring its resamples one by one: sums are kept and scored together. Every contender draws anew.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ovlab.benchmarks.measure import measure
from ovlab.benchmarks.outcome import Report, Value
from ovlab.benchmarks.synthetic_counts import synthetic_runs
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import draw_weights, resample
from ovlab.metrics.scores import ClassSums, Scores, scores_of

_REFERENCE = "loop, take and sum"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resamples", type=int, default=2000, metavar="B", help="default: 2000")
    parser.add_argument("--images", type=int, default=2000, metavar="I", help="default: 2000")
    parser.add_argument("--classes", type=int, nargs="+", default=[150], metavar="N", help="default: 150")
    parser.add_argument(
        "--rounds", type=int, default=5, help="times that all take turns; the median counts (default: 5)"
    )


def run(arguments: argparse.Namespace) -> Report:
    """Time every contender and compare every score of every resample with the reference."""
    rows: list[dict[str, Value]] = []
    for num_classes in arguments.classes:
        (counts,) = synthetic_runs(arguments.images, num_classes)
        rows += _compare(counts, arguments.resamples, arguments.rounds)
    return Report(
        name="intervals",
        title="Scores of the resamples of an image bootstrap",
        rows=rows,
        context={"B resamples": arguments.resamples, "I images": arguments.images, "device": "cpu"},
    )


def _compare(counts: PerImageCounts, num_resamples: int, rounds: int) -> list[dict[str, Value]]:
    contenders: dict[str, Callable[[], Scores]] = {
        _REFERENCE: partial(_take_and_sum, counts, num_resamples),
        "loop, weights @ table": partial(_row_by_row, counts, num_resamples),
        "dense product (BLAS)": partial(_dense, counts, num_resamples),
        "resample": partial(_resample, counts, num_resamples),
    }
    scores = {name: contender() for name, contender in contenders.items()}  # also warms every contender up
    # In turns, so that a machine that is busy for a while is busy for all.
    turns = [
        {name: measure(contender, repeats=1, warmups=0) for name, contender in contenders.items()}
        for _ in range(rounds)
    ]
    seconds = {name: statistics.median(turn[name].seconds for turn in turns) for name in contenders}
    return [
        {
            "N": counts.num_classes,
            "contender": name,
            "seconds": seconds[name],
            "times faster": seconds[_REFERENCE] / seconds[name],
            "peak MiB": max(turn[name].peak_bytes for turn in turns) / 2**20,
            "largest difference": _largest_difference(scores[name], scores[_REFERENCE]),
        }
        for name in contenders
    ]


def _resample(counts: PerImageCounts, num_resamples: int) -> Scores:
    draw_weights.cache_clear()
    return resample(counts, _seen(counts.num_classes), num_resamples=num_resamples).scores


def _take_and_sum(counts: PerImageCounts, num_resamples: int) -> Scores:
    tables = _tables(counts)
    generator = np.random.default_rng(0)
    sums = np.empty((num_resamples, sum(table.shape[1] for table in tables)))
    for row in sums:
        drawn = generator.integers(0, counts.num_images, counts.num_images)
        row[:] = np.concatenate([table[drawn].sum(axis=0) for table in tables])
    return scores_of(_over_classes(sums))


def _row_by_row(counts: PerImageCounts, num_resamples: int) -> Scores:
    table = np.concatenate(_tables(counts), axis=1, dtype=np.float64)
    return scores_of(_over_classes(np.stack([row @ table for row in _weights(counts.num_images, num_resamples)])))


def _dense(counts: PerImageCounts, num_resamples: int) -> Scores:
    table = np.concatenate(_tables(counts), axis=1, dtype=np.float64)
    return scores_of(_over_classes(_weights(counts.num_images, num_resamples) @ table))


def _weights(num_images: int, num_resamples: int) -> Float64[np.ndarray, "B I"]:
    draw_weights.cache_clear()
    return np.concatenate(draw_weights(num_images, num_resamples, seed=0), axis=1).T.astype(np.float64, order="C")


def _tables(counts: PerImageCounts) -> tuple[Int64[np.ndarray, "I _"], ...]:
    return counts.hits, counts.union(), counts.gt, counts.hallucinated()[:, None]


def _over_classes(sums: Float64[np.ndarray, "B columns"]) -> ClassSums:
    """From the sums of the tables, side by side, to those over classes."""
    num_classes = (sums.shape[1] - 1) // 3
    hits, union, gt = (sums[:, part * num_classes : (part + 1) * num_classes] for part in range(3))
    iou, present, seen = hits / np.maximum(union, 1), (gt > 0).astype(np.float64), _seen(num_classes)
    return ClassSums(
        iou=iou.sum(axis=1),
        accuracy=(hits / np.maximum(gt, 1)).sum(axis=1),
        weighted_iou=(iou * gt).sum(axis=1),
        num_present=present.sum(axis=1),
        num_found=np.count_nonzero(union, axis=1).astype(np.float64),
        hits=hits.sum(axis=1),
        gt=gt.sum(axis=1),
        hallucinated=sums[:, -1],
        seen_iou=iou[:, seen].sum(axis=1),
        num_seen_present=present[:, seen].sum(axis=1),
        unseen_iou=iou[:, ~seen].sum(axis=1),
        num_unseen_present=present[:, ~seen].sum(axis=1),
    )


def _seen(num_classes: int) -> Bool[np.ndarray, "N"]:
    """Every other class, so that both kinds are frequent."""
    return np.arange(num_classes) % 2 == 0


def _largest_difference(found: Scores, expected: Scores) -> float:
    return max(float(np.abs(found[name] - expected[name]).max()) for name in expected)
