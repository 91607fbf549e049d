"""Label maps as pictures."""

import numpy as np

from logoseg.class_colours import COLOURS
from logoseg.overlay import IGNORED, OPACITY, painted
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.evaluation.drawing import WRONG, difference

IMAGE = np.full((1, 3, 3), 100, np.uint8)


def test_painted_pixels_have_the_colour_of_their_class_and_ignored_ones_none() -> None:
    picture = painted(IMAGE, np.array([[0, 4, IGNORE_INDEX]], np.uint16), COLOURS)

    np.testing.assert_allclose(picture[0, 0], (1 - OPACITY) * 100 + OPACITY * COLOURS[0], atol=1)
    np.testing.assert_allclose(picture[0, 1], (1 - OPACITY) * 100 + OPACITY * COLOURS[4], atol=1)
    np.testing.assert_array_equal(picture[0, 2], IGNORED)


def test_difference_of_a_coloured_photograph_is_grey_where_right() -> None:
    image = np.array([[[30, 60, 90]] * 3], np.uint8)
    truth, prediction = np.array([[1, 2, IGNORE_INDEX]], np.uint16), np.array([[1, 1, 1]], np.uint16)

    picture = difference(image, truth, prediction)

    np.testing.assert_array_equal(picture[0, 0], (60, 60, 60))
    np.testing.assert_allclose(picture[0, 1], (1 - OPACITY) * 60 + OPACITY * np.array(WRONG), atol=1)
    np.testing.assert_array_equal(picture[0, 2], IGNORED)
