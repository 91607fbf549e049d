"""The page of pictures."""

import numpy as np

from logoseg.overlay import OPACITY
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.report.gallery import GalleryRow, gallery

WORDS = ("grass", "sky", "red star")


def test_gallery_difference_is_red_where_wrong_grey_where_ignored() -> None:
    image = np.full((60, 60, 3), 100, np.uint8)
    truth = np.zeros((60, 60), np.uint16)
    truth[:, 40:] = IGNORE_INDEX
    prediction = truth.copy()
    prediction[:, 20:] = 1

    page = np.asarray(gallery([GalleryRow(image, truth, prediction)], WORDS, side=60))

    difference = page[28 + 30, 3 * 68 :]
    np.testing.assert_array_equal(difference[10], (100, 100, 100))
    np.testing.assert_allclose(difference[30], (1 - OPACITY) * 100 + OPACITY * np.array((214, 40, 40)), atol=1)
    np.testing.assert_array_equal(difference[50], (128, 128, 128))


def test_gallery_grows_with_its_rows_and_keeps_its_width() -> None:
    labels = np.zeros((30, 60), np.uint16)
    row = GalleryRow(np.zeros((30, 60, 3), np.uint8), labels, labels)

    one, two = (gallery([row] * number, WORDS, side=120) for number in (1, 2))

    assert one.width == two.width
    assert two.height - 28 == 2 * (one.height - 28)
