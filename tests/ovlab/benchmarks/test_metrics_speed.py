"""The benchmark compares equal things: its maps are what they claim, and all contenders count the same."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.benchmarks import metrics_speed as metrics
from ovlab.benchmarks.label_pairs import drawn_regions, random_pair, region_pair, stored_regions
from ovlab.metrics.counting import IGNORE_INDEX
from ovlab.specs.errors import InputError


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    metrics.add_arguments(parser)
    return parser.parse_args(words)


def num_runs(pixels: np.ndarray) -> int:
    return int((pixels[:, 1:] != pixels[:, :-1]).sum()) + len(pixels)


def test_benchmark_contenders_all_agree_and_are_all_compared() -> None:
    report = metrics.run(arguments("--classes", "300", "--size", "20", "31", "--images", "2", "--rounds", "1"))

    assert [row["agrees"] for row in report.rows] == ["yes"] * len(report.rows)
    assert {(row["labels"], row["N"]) for row in report.rows} == {("regions", 300), ("random", 300)}
    assert {row["contender"] for row in report.rows} == {
        "detectron2's formula",
        "count_into",
        "sparse_counts",
        "torchmetrics",
    }
    assert all(row["times faster"] == 1.0 for row in report.rows if row["contender"] == "detectron2's formula")


def test_benchmark_takes_regions_from_stored_label_maps(tmp_path: Path) -> None:
    Image.fromarray(np.arange(40, dtype=np.uint8).reshape(5, 8) // 10).save(tmp_path / "a.png")

    report = metrics.run(arguments("--classes", "5", "--rounds", "1", "--images", "1", "--labels", str(tmp_path)))

    assert [row["agrees"] for row in report.rows] == ["yes"] * len(report.rows)


def test_region_pair_has_long_runs_and_mostly_right_pixels() -> None:
    generator = np.random.default_rng(0)
    pair = region_pair(drawn_regions((200, 300), generator), 150, generator)
    counted = pair.label != IGNORE_INDEX

    assert num_runs(pair.label) < 0.1 * pair.label.size
    assert num_runs(pair.prediction) < 0.1 * pair.label.size
    assert 0.4 < (pair.prediction == pair.label)[counted].mean() < 0.95
    assert pair.prediction.max() < 150


def test_random_pair_has_no_runs() -> None:
    pair = random_pair((50, 60), 150, np.random.default_rng(0))

    assert num_runs(pair.label) > 0.95 * pair.label.size


def test_folder_without_label_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.png label maps"):
        stored_regions(tmp_path)
