"""Which class is taken for which."""

import numpy as np
import pytest

from ovlab.metrics.confusion import ConfusionCounts
from ovlab.report.confusions import Confused, most_confused


def test_most_confused_are_the_largest_wrong_entries() -> None:
    counts = ConfusionCounts(np.array([[50, 0, 10], [30, 5, 5], [0, 0, 0]], np.int64))

    found = most_confused(counts, ("sky", "sea", "sand"), 2)

    assert found == [Confused("sea", "sky", 30, pytest.approx(0.75)), Confused("sky", "sand", 10, pytest.approx(1 / 6))]


def test_no_pair_without_pixels_is_confused() -> None:
    counts = ConfusionCounts(np.array([[7, 0], [1, 9]], np.int64))

    assert [pair.num_pixels for pair in most_confused(counts, ("a", "b"), 10)] == [1]


def test_counts_are_left_as_they_are() -> None:
    counts = ConfusionCounts(np.array([[7, 2], [1, 9]], np.int64))

    most_confused(counts, ("a", "b"), 10)

    np.testing.assert_array_equal(counts.counts, [[7, 2], [1, 9]])
