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
from ovlab.metrics.class_totals import ClassPixels, ClassTotals, Scores, scores_of
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import draw_weights, resample

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
    return _scores_of(sums, counts)


def _row_by_row(counts: PerImageCounts, num_resamples: int) -> Scores:
    table = np.concatenate(_tables(counts), axis=1, dtype=np.float64)
    return _scores_of(np.stack([row @ table for row in _weights(counts.num_images, num_resamples)]), counts)


def _dense(counts: PerImageCounts, num_resamples: int) -> Scores:
    table = np.concatenate(_tables(counts), axis=1, dtype=np.float64)
    return _scores_of(_weights(counts.num_images, num_resamples) @ table, counts)


def _weights(num_images: int, num_resamples: int) -> Float64[np.ndarray, "B I"]:
    draw_weights.cache_clear()
    return np.concatenate(draw_weights(num_images, num_resamples, seed=0), axis=1).T.astype(np.float64, order="C")


def _tables(counts: PerImageCounts) -> tuple[Int64[np.ndarray, "I _"], ...]:
    return counts.hits, counts.gt, counts.pred, counts.hallucinated()[:, None]


def _scores_of(sums: Float64[np.ndarray, "B columns"], counts: PerImageCounts) -> Scores:
    """From the sums of the tables, side by side."""
    *pixels, hallucinated = np.split(sums.T, np.arange(1, 4) * counts.num_classes)
    return scores_of(ClassTotals(counts.num_images, ClassPixels(*pixels), hallucinated[0], _seen(counts.num_classes)))


def _seen(num_classes: int) -> Bool[np.ndarray, "N"]:
    """Every other class, so that both kinds are frequent."""
    return np.arange(num_classes) % 2 == 0


def _largest_difference(found: Scores, expected: Scores) -> float:
    return max(float(np.abs(found[name] - expected[name]).max()) for name in expected)
