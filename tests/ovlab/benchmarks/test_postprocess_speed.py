"""What `ovlab bench postprocess` compares is the same answer, and smooth scores are as described."""

import argparse

import torch

from ovlab.benchmarks import postprocess_speed as postprocess


def arguments(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    postprocess.add_arguments(parser)
    return parser.parse_args(["--classes", "7", "3", "--repeats", "1", "--size", "33", "40", *options])


def test_run_one_row_a_kind_and_class_count_without_real_differences() -> None:
    threads = torch.get_num_threads()

    report = postprocess.run(arguments("--grid", "9", "8"))

    assert [(row["scores"], row["classes"]) for row in report.rows] == [
        ("smooth", 7),
        ("smooth", 3),
        ("noise", 7),
        ("noise", 3),
    ]
    assert all(row["their largest gap"] is None or row["their largest gap"] < 1e-5 for row in report.rows)
    assert torch.get_num_threads() == threads


def test_largest_gap_is_that_of_the_pixel_that_differs() -> None:
    scores = torch.tensor([[[1.0, 1.0]], [[0.75, 0.0]]])

    gap = postprocess._largest_gap(scores, torch.tensor([[1, 0]]), torch.tensor([[0, 0]]))

    assert gap == 0.25


def test_smooth_scores_are_smoother_than_noise() -> None:
    def roughness(scores: torch.Tensor) -> float:
        return float(scores.diff(dim=2).std() / scores.std())

    smooth, noise = (make((20, 96, 96)) for make in (postprocess.smooth_scores, postprocess.noise_scores))

    assert roughness(smooth) < roughness(noise) / 10
