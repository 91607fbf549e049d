"""The region oracle by hand, and against a flood fill and a vote written as loops; the parts of the gap."""

from collections import Counter

import numpy as np
import pytest

from ovlab.metrics.counting import IGNORE_INDEX, sparse_counts
from ovlab.metrics.evaluation_counts import class_counts, sum_counts
from ovlab.metrics.regions import majority, regions_of

VOID = IGNORE_INDEX


def maps(*rows: str) -> np.ndarray:
    """A letter of "." is ignored, a digit a class."""
    return np.array([[VOID if letter == "." else int(letter) for letter in row] for row in rows], np.uint16)


def test_regions_are_what_hangs_together_of_one_class_corners_included() -> None:
    label = maps("1100", "1010", "..0.", "1...")

    found = regions_of(label)

    # Of class 0 all hangs together by corners; class 1 is in two pieces, and what is ignored is in none.
    assert found.tolist() == [[2, 2, 1, 1], [2, 1, 2, 1], [0, 0, 1, 0], [3, 0, 0, 0]]


def test_majority_is_the_answer_of_each_region_by_itself_and_of_equals_the_lowest() -> None:
    label = maps("001", "001", ".11", "200")
    prediction = maps("002", "312", "312", "321")

    found = majority(prediction, regions_of(label))

    # The upper 0: 0 of (0, 0, 3, 1). 1: 2 of (2, 2, 1, 2). 2: 3. The lower 0: of 2 and 1 the lower.
    assert found.tolist() == maps("002", "002", "322", "311").tolist()


def regions_by_loops(label: np.ndarray) -> list[set[tuple[int, int]]]:
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(label != VOID), strict=True)}
    found = []
    while left:
        region, front = set(), [left.pop()]
        while front:
            y, x = front.pop()
            region.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            same = {place for place in near if label[place] == label[y, x]}
            left -= same
            front += same
        found.append(region)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("num_classes", [2, 9])
def test_majority_is_that_of_the_loops(seed: int, num_classes: int) -> None:
    generator = np.random.default_rng(seed)
    label = np.kron(generator.integers(0, num_classes, (9, 7)), np.ones((2, 3), int)).astype(np.uint16)
    label[generator.random(label.shape) < 0.1] = VOID
    prediction = generator.integers(0, num_classes, label.shape).astype(np.uint16)

    regions, found = regions_of(label), majority(prediction, regions_of(label))

    expected, by_loops = prediction.copy(), regions_by_loops(label)
    for region in by_loops:
        votes = Counter(int(prediction[place]) for place in region)
        answer = min(votes, key=lambda name: (-votes[name], name))
        for place in region:
            expected[place] = answer
    np.testing.assert_array_equal(found, expected)
    assert {len({int(regions[place]) for place in region}) for region in by_loops} == {1}
    assert regions.max() == len(by_loops)


def test_an_image_that_is_ignored_has_no_region_and_keeps_its_prediction() -> None:
    label, prediction = np.full((2, 3), VOID, np.uint16), maps("012", "210")

    assert not regions_of(label).any()
    np.testing.assert_array_equal(majority(prediction, regions_of(label)), prediction)


def test_class_counts_are_the_pairs_by_class() -> None:
    label, prediction = maps("0011", "0.13"), maps("0015", "5513")

    found = class_counts(sparse_counts(prediction, label, 6))

    assert [column.tolist() for column in found] == [[0, 1, 3, 5], [2, 2, 1, 0], [3, 3, 1, 0], [2, 2, 1, 2]]


def test_the_parts_of_the_gap_by_hand_add_up_to_it() -> None:
    # 0 on the left, 1 on the right, and 2 in no image. What was predicted: 0 runs over its edge, 1 has a hole of 2.
    label = maps("0011", "0011")
    told = {
        "": maps("0001", "0021"),
        "classes_oracle": maps("0001", "0011"),  # of 0 and 1 the pixel of 2 is 1
        "regions_oracle": maps("0011", "0011"),  # 1 has two votes of four, 0 and 2 one each
        "both_oracles": maps("0011", "0011"),
    }
    counts = sparse_counts(told.pop(""), label, 3)
    beside = {kind: class_counts(sparse_counts(prediction, label, 3)) for kind, prediction in told.items()}

    totals = sum_counts([counts._replace(beside=beside)], 3)

    plain, classes = (4 / 5 + 2 / 4) / 2, (4 / 5 + 3 / 4) / 2
    assert totals["miou"] == pytest.approx(plain)
    assert totals["classes_oracle_miou"] == pytest.approx(classes)
    assert totals["regions_oracle_miou"] == totals["both_oracles_miou"] == 1.0
    # The classes close their part at first, and none when the regions are known; the regions what is left, or all.
    assert totals["hallucination_gap"] == pytest.approx((classes - plain) / 2)
    assert totals["boundary_gap"] == pytest.approx((1 - plain + 1 - classes) / 2)
    assert totals["confusion_gap"] == pytest.approx(0)


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_of_the_gap_add_up_to_what_is_missing_of_miou(seed: int) -> None:
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(5):
        label, *predictions = generator.integers(0, 6, (5, 8, 9)).astype(np.uint16)
        plain, *others = (sparse_counts(prediction, label, 6) for prediction in predictions)
        kinds = ("classes_oracle", "regions_oracle", "both_oracles")
        images.append(plain._replace(beside=dict(zip(kinds, map(class_counts, others), strict=True))))

    totals = sum_counts(images, 6)

    parts = sum(totals[name] for name in ("hallucination_gap", "confusion_gap", "boundary_gap"))
    assert parts == pytest.approx(1 - totals["miou"], abs=1e-14)
