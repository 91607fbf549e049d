"""The picture that a person gets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ovlab.evaluation.drawing import OPACITY, palette
from ovlab.evaluation.prediction import overlay, write_prediction


def test_overlay_pixel_is_a_mix_of_photograph_and_class_colour() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    labels = np.zeros((60, 80), np.int32)
    labels[:, 40:] = 2

    picture = np.asarray(overlay(image, labels, ("a", "b", "c")))

    colours = palette(3)
    np.testing.assert_allclose(picture[30, 10], (1 - OPACITY) * 100 + OPACITY * colours[0], atol=1)
    np.testing.assert_allclose(picture[30, 70], (1 - OPACITY) * 100 + OPACITY * colours[2], atol=1)


def test_overlay_legend_holds_the_classes_that_occur_and_no_other() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    labels = np.zeros((60, 80), np.int32)

    legend = np.asarray(overlay(image, labels, ("a", "b")))[60:].reshape(-1, 3)

    assert (legend == palette(2)[0]).all(axis=1).any()
    assert not (legend == palette(2)[1]).all(axis=1).any()


@pytest.mark.parametrize(("num_words", "mode"), [(3, "L"), (300, "I;16")])
def test_write_prediction_label_map_reads_back(tmp_path: Path, num_words: int, mode: str) -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    labels = np.full((40, 50), num_words - 1, np.int32)

    written = write_prediction(tmp_path, "photo", image, labels, [f"word {n}" for n in range(num_words)])

    with Image.open(written.labels) as label_map:
        assert label_map.mode == mode
        assert (np.asarray(label_map) == num_words - 1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo-labels.png", "photo-overlay.png"]
