"""Photographs and words to answers: the same pixels and labels by every way in, and pictures that can be read."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import logoseg
from logoseg.class_colours import COLOURS
from logoseg.config import SlidingWindow
from logoseg.dense_clip import DenseClip
from logoseg.model_error import ModelError
from logoseg.overlay import OPACITY
from logoseg.predictor import Prediction, Predictor
from ovlab.evaluation.evaluator import predict_labels
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.evaluation import whole

WORDS = ("grass", "sky", "blue circle")


@pytest.fixture(scope="module")
def model() -> DenseClip:
    return logoseg.load("clip:shapes-vit-s")


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    dataset = open_shapes("shapes-a-150", "val")
    return [dataset[index].image for index in range(3)]


def test_predict_labels_are_those_that_an_evaluation_counts(model: DenseClip, scenes: list[np.ndarray]) -> None:
    answer = model.predict(scenes[0], WORDS)

    text = model.encode_text([(word,) for word in WORDS], model.prompt_templates)
    expected = predict_labels(model, text, scenes[0], whole(96), torch.device("cpu"))
    np.testing.assert_array_equal(answer.labels, expected)
    assert answer.words == WORDS
    assert sum(answer.shares.values()) == pytest.approx(1)
    assert answer.shares["sky"] == (expected == 1).mean()


def test_score_of_a_pixel_is_the_largest_of_its_score_maps(model: DenseClip, scenes: list[np.ndarray]) -> None:
    answer = model.predict(scenes[0], WORDS)

    maps = np.stack([answer.score_map(word) for word in WORDS])

    np.testing.assert_allclose(maps.max(axis=0), answer.scores, rtol=1e-6)
    np.testing.assert_array_equal(maps.argmax(axis=0), answer.labels)
    with pytest.raises(ModelError, match="'road' was not asked for"):
        answer.score_map("road")


def test_a_path_an_image_and_an_array_are_one_photograph(
    model: DenseClip, scenes: list[np.ndarray], tmp_path: Path
) -> None:
    Image.fromarray(scenes[0]).save(tmp_path / "scene.png")

    photos = [scenes[0], Image.fromarray(scenes[0]), tmp_path / "scene.png", str(tmp_path / "scene.png")]

    answers = [model.predict(photo, WORDS) for photo in photos]
    for answer in answers:
        np.testing.assert_array_equal(answer.image, scenes[0])
        np.testing.assert_array_equal(answer.labels, answers[0].labels)


@pytest.mark.parametrize("inference", [None, SlidingWindow(size=160, kernel=96, stride=64, input_size=96)])
def test_photographs_together_have_the_answers_that_they_have_alone(
    model: DenseClip, scenes: list[np.ndarray], inference: SlidingWindow | None
) -> None:
    photos = [scenes[0], scenes[1], scenes[2][:, :80], scenes[2]]
    predictor = Predictor(model, WORDS, inference=inference)

    together = list(predictor.all(photos, batch_size=3))

    assert len(together) == len(photos)
    for photo, answer in zip(photos, together, strict=True):
        assert answer.labels.shape == photo.shape[:2]
        assert (answer.labels == predictor(photo).labels).mean() > 0.999  # another batch may round otherwise


def test_predictor_reads_the_words_once(model: DenseClip, scenes: list[np.ndarray], monkeypatch: Any) -> None:
    read = []
    encode = model.encode_text
    monkeypatch.setattr(model, "encode_text", lambda *asked: read.append(asked) or encode(*asked))

    predictor = Predictor(model, ["sky", "hedge"], synonyms={"hedge": ["grass"]}, templates=["a {}", "the {}"])

    assert len(list(predictor.all(scenes))) == 3
    assert read == [([("sky",), ("hedge", "grass")], ("a {}", "the {}"))]


def test_overlay_mixes_photograph_and_colours_by_its_opacity(model: DenseClip, scenes: list[np.ndarray]) -> None:
    answer = model.predict(scenes[0], WORDS)
    height, width = answer.labels.shape
    colours = COLOURS[answer.labels].astype(float)

    for opacity, picture in ((OPACITY, answer.overlay()), (0.0, answer.overlay(0.0)), (1.0, answer.overlay(1.0))):
        pixels = np.asarray(picture)
        left = (pixels.shape[1] - width) // 2
        expected = (1 - opacity) * scenes[0] + opacity * colours
        np.testing.assert_allclose(pixels[:height, left : left + width], expected, atol=1)


def test_answer_is_a_picture_in_a_notebook(model: DenseClip, scenes: list[np.ndarray]) -> None:
    answer = model.predict(scenes[0], WORDS)

    with Image.open(io.BytesIO(answer._repr_png_())) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(answer.overlay()))


def test_logoseg_predicts_too() -> None:
    torch.manual_seed(0)

    answer = logoseg.LoGoSeg(logoseg.shapes_vit_s()).predict(np.zeros((50, 70, 3), np.uint8), ["sky", "grass"])

    assert isinstance(answer, Prediction)
    assert answer.labels.shape == answer.scores.shape == (50, 70)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ([], {}, "words must be a list"),
        ("road", {}, "words must be a list"),
        (["a", " "], {}, "words must be a list"),
        (["a", "b", "a"], {}, "'a' is among the words twice"),
        (["a"], {"synonyms": {"b": ["c"]}}, "synonyms of 'b', which is none of the words a"),
        (["a"], {"templates": ["a photo"]}, "templates must each hold one"),
        (["a"], {"templates": []}, "templates must each hold one"),
    ],
)
def test_words_that_cannot_be_asked_for_are_refused(
    model: DenseClip, words: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Predictor(model, words, **options)


def test_load_of_clip_alone_says_what_is_missing() -> None:
    with pytest.raises(ModelError, match=r"clip:vit-b16: the weights of ViT-B-16-quickgelu .* give clip=FILE"):
        logoseg.load("clip:vit-b16")
    with pytest.raises(ModelError, match=r"clip:vit: no such preset\. Presets are vit-b16,"):
        logoseg.load("clip:vit")
