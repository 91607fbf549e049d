"""The picture that a person gets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from logoseg.answer import Answer
from logoseg.class_colours import COLOURS
from logoseg.config import WholeImage
from logoseg.overlay import OPACITY, overlay
from logoseg.predictor import Prediction
from ovlab.evaluation.prediction import thumbnail, write_contact_sheet, write_prediction, write_scores


def test_overlay_pixel_is_a_mix_of_photograph_and_class_colour() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    labels = np.zeros((60, 80), np.int32)
    labels[:, 40:] = 2

    picture = np.asarray(overlay(image, labels, ("a", "b", "c")))

    np.testing.assert_allclose(picture[30, 10], (1 - OPACITY) * 100 + OPACITY * COLOURS[0], atol=1)
    np.testing.assert_allclose(picture[30, 70], (1 - OPACITY) * 100 + OPACITY * COLOURS[2], atol=1)


def test_overlay_legend_holds_the_classes_that_occur_and_no_other() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    labels = np.zeros((60, 80), np.int32)

    legend = np.asarray(overlay(image, labels, ("a", "b")))[60:].reshape(-1, 3)

    assert (legend == COLOURS[0]).all(axis=1).any()
    assert not (legend == COLOURS[1]).all(axis=1).any()


def prediction_of(labels: np.ndarray, num_words: int) -> Prediction:
    """With scores that are 1 for the word of the left half and 0 for all others."""
    scores = torch.zeros(1, num_words, 1, 2)
    scores[0, 0, 0, 0] = 1
    image = np.zeros((*labels.shape, 3), np.uint8)
    words = tuple(f"word {n}" for n in range(num_words))
    answer, inference = Answer(scores, "identity"), WholeImage(size=32)
    return Prediction(image, words, labels, np.ones(labels.shape, np.float32), answer, inference)


@pytest.mark.parametrize(("num_words", "mode"), [(3, "L"), (300, "I;16")])
def test_write_prediction_label_map_reads_back(tmp_path: Path, num_words: int, mode: str) -> None:
    labels = np.full((40, 50), num_words - 1, np.uint16)

    written = write_prediction(tmp_path, "photo", prediction_of(labels, num_words))

    with Image.open(written.labels) as label_map:
        assert label_map.mode == mode
        assert (np.asarray(label_map) == num_words - 1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo-labels.png", "photo-overlay.png"]


def test_write_scores_reads_back_word_by_word(tmp_path: Path) -> None:
    path = write_scores(tmp_path, "photo", prediction_of(np.zeros((4, 8), np.uint16), 2))

    with np.load(path) as found:
        assert found["words"].tolist() == ["word 0", "word 1"]
        # From the first quarter to the last, bilinear between the two scores.
        assert found["scores"].shape == (2, 4, 8)
        np.testing.assert_allclose(found["scores"][0, :, [0, 7]], [[1] * 4, [0] * 4])
        assert not found["scores"][1].any()


def test_contact_sheet_has_all_pictures_row_by_row(tmp_path: Path) -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    sizes = [(50, 50), (100, 20), (20, 90)]
    pictures = [thumbnail(Image.new("RGB", size, colour)) for size, colour in zip(sizes, colours, strict=True)]

    path = write_contact_sheet(tmp_path, pictures)

    with Image.open(path) as sheet:
        side = pictures[0].width
        assert sheet.size == (2 * side, 2 * side)
        for place, colour in zip(((0, 0), (1, 0), (0, 1)), colours, strict=True):
            found = np.array(sheet.getpixel(tuple(side * position + side // 2 for position in place)))
            np.testing.assert_allclose(found, colour, atol=3)
