"""The shapes suite through the same preparation, verification and reading as the real sets."""

from pathlib import Path

import numpy as np
import pytest

from ovlab.cli import main
from ovlab.datasets.prepare import prepare
from ovlab.datasets.sharded import open_shards
from ovlab.datasets.verify import verify
from ovlab.shapes.dataset import open_shapes
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES


@pytest.mark.parametrize("name", SHAPES_NAMES)
def test_prepared_shapes_set_passes_every_check_and_reads_back_pixel_by_pixel(tmp_path: Path, name: str) -> None:
    painted = open_shapes(name, "val", num_samples=12)
    prepare(painted, str(tmp_path / name), num_samples_per_shard=8)

    found = verify(str(tmp_path / name))

    assert found.passed, [check for check in found.checks if not check.passed]
    stored = open_shards(str(tmp_path / name))
    for index in (0, 11):
        np.testing.assert_array_equal(stored[index].image, painted[index].image)
        np.testing.assert_array_equal(stored[index].label, painted[index].label)


@pytest.mark.parametrize("name", ["shapes-pas-20b", "shapes-a-150"])
def test_prepared_shapes_set_asks_for_the_same_names(tmp_path: Path, name: str) -> None:
    painted = open_shapes(name, "val", num_samples=2)
    prepare(painted, str(tmp_path / name))

    asked, expected = (dataset.label_space("first") for dataset in (open_shards(str(tmp_path / name)), painted))

    assert asked.asked == expected.asked
    assert asked.scored == expected.scored
    assert asked.collapse == expected.collapse
    np.testing.assert_array_equal(asked.seen, expected.seen)


def test_prepare_command_needs_no_source_for_a_shapes_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / "pas")

    assert main(["data", "prepare", "shapes-pas-20b", "--out", place, "--workers", "1"]) == 0
    assert "300 of 300 samples" in capsys.readouterr().out
    assert main(["data", "verify", place, "--workers", "1"]) == 0
    assert "everything holds" in capsys.readouterr().out


def test_prepare_command_names_the_missing_source_of_a_real_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "prepare", "a-150", "--out", str(tmp_path / "a")]) == 2
    assert "a-150: give --source DIR" in capsys.readouterr().err
