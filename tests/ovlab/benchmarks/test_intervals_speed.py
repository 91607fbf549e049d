"""The benchmark compares equal things: all contenders give the same scores, on counts that could be real."""

import argparse

import numpy as np

from ovlab.benchmarks import intervals_speed as intervals
from ovlab.benchmarks.synthetic_counts import synthetic_runs


def test_benchmark_contenders_give_the_same_scores_and_are_all_compared() -> None:
    parser = argparse.ArgumentParser()
    intervals.add_arguments(parser)

    report = intervals.run(
        parser.parse_args(["--resamples", "300", "--images", "40", "--classes", "9", "30", "--rounds", "1"])
    )

    assert [(row["N"], row["contender"]) for row in report.rows] == [
        (num_classes, contender)
        for num_classes in (9, 30)
        for contender in ("loop, take and sum", "loop, weights @ table", "dense product (BLAS)", "resample")
    ]
    assert all(row["largest difference"] < 1e-12 for row in report.rows)


def test_synthetic_runs_could_have_been_counted() -> None:
    first, second = synthetic_runs(300, 40, num_runs=2)

    np.testing.assert_array_equal(first.gt, second.gt)
    assert (first.hits != second.hits).any()
    for run in (first, second):
        assert (run.hits <= np.minimum(run.gt, run.pred)).all()
        np.testing.assert_array_equal(run.pred.sum(axis=1), run.gt.sum(axis=1))
        assert 2 <= (run.gt > 0).sum(axis=1).min() <= (run.gt > 0).sum(axis=1).max() <= 14
        assert run.hallucinated().sum() > 0
