"""Colours of a picture: apart from one another, and the same from picture to picture where they can be."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from logoseg.class_colours import COLOURS, NUM_APART, class_colours
from logoseg.overlay import OPACITY


def nearest(colours: np.ndarray) -> float:
    """The least difference of two of them, in CIEDE2000."""
    lab = rgb2lab(colours[None] / 255)[0]
    return min(float(deltaE_ciede2000(first, second)) for first, second in combinations(lab, 2))


@pytest.mark.parametrize("num_classes", [2, 59, 847])
def test_sixteen_classes_of_a_picture_are_far_apart_whichever_they_are(num_classes: int) -> None:
    for seed in range(20):
        present = np.random.default_rng(seed).permutation(num_classes)[:NUM_APART].tolist()

        assert nearest(class_colours(num_classes, present)[present]) > 26


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_painted_classes_are_apart_on_a_photograph_without_colours(grey: int) -> None:
    painted = (1 - OPACITY) * grey + OPACITY * class_colours(16, range(16))

    assert nearest(painted) > 12


def test_any_two_of_all_colours_are_apart() -> None:
    present = [7, *range(100, 100 + len(COLOURS) - 1)]

    assert nearest(class_colours(847, present)[present]) > 12


def test_class_keeps_its_colour_where_the_picture_allows() -> None:
    alone, together = class_colours(40, [35]), class_colours(40, [3, 35, 19])

    np.testing.assert_array_equal(alone[35], COLOURS[3])
    np.testing.assert_array_equal(together[3], COLOURS[3])
    np.testing.assert_array_equal(together[[35, 19]], COLOURS[[4, 5]])


def test_more_classes_than_colours_have_one_each_all_the_same() -> None:
    assert class_colours(60, range(60)).shape == (60, 3)
