"""Which class is taken for which."""

import numpy as np
import pytest

from ovlab.metrics.counting import SparseCounts
from ovlab.report.confusions import Confused, most_confused


def counted(*rows: tuple[int, int, int]) -> SparseCounts:
    """Of all images, one after the other, from (ground truth, prediction, pixels)."""
    gt, pred, count = np.array(rows, np.int64).reshape(-1, 3).T
    return SparseCounts(gt.astype(np.uint16), pred.astype(np.uint16), count)


def test_most_confused_are_the_largest_wrong_pairs_over_all_images() -> None:
    counts = counted((0, 0, 50), (0, 2, 4), (1, 0, 30), (0, 2, 6), (1, 1, 5), (1, 2, 5))

    found = most_confused(counts, ("sky", "sea", "sand"), 2)

    assert found == [Confused("sea", "sky", 30, pytest.approx(0.75)), Confused("sky", "sand", 10, pytest.approx(1 / 6))]


def test_equal_pairs_come_in_the_order_of_the_classes() -> None:
    found = most_confused(counted((0, 1, 3), (1, 2, 3), (2, 0, 3)), ("a", "b", "c"), 10)

    assert [(pair.truth, pair.prediction) for pair in found] == [("a", "b"), ("b", "c"), ("c", "a")]


def test_class_numbers_beyond_8_bits_are_kept_apart() -> None:
    names = [str(number) for number in range(847)]

    (pair,) = most_confused(counted((846, 845, 2), (846, 846, 2)), names, 10)

    assert pair == Confused("846", "845", 2, 0.5)


@pytest.mark.parametrize("counts", [counted(), counted((0, 0, 7))])
def test_nothing_is_confused_where_nothing_is_wrong(counts: SparseCounts) -> None:
    assert most_confused(counts, ("a", "b"), 10) == []
