"""One photograph and a few words: the label map, and the files that a person gets.

Axes: H x W pixels.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from PIL import Image, ImageOps

from logoseg.overlay import OPACITY
from logoseg.predictor import Prediction
from ovlab.evaluation.evaluator import predict_labels
from ovlab.files.whole_file import writing
from ovlab.methods.words import text_features
from ovlab.specs.evaluation import Protocol

# Of a picture on a contact sheet, in pixels.
_SIDE = 320


class Written(NamedTuple):
    """The two files of a prediction."""

    overlay: Path
    labels: Path


def predict_photograph(
    model: Any,
    image: UInt8[np.ndarray, "H W 3"],
    words: Sequence[str],
    protocol: Protocol,
    device: torch.device,
) -> Integer[np.ndarray, "H W"]:
    """The index into `words` for every pixel. `model` is a Segmenter."""
    model = model.to(device).eval()  # first: the text is encoded there
    text = text_features(model, [(word,) for word in words], model.prompt_templates)
    return predict_labels(model, text, image, protocol, device)


def write_prediction(folder: Path, stem: str, prediction: Prediction, opacity: float = OPACITY) -> Written:
    """Write STEM-overlay.png and STEM-labels.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(folder / f"{stem}-overlay.png", folder / f"{stem}-labels.png")
    pixel_type = np.uint8 if len(prediction.words) <= 255 else np.uint16
    for path, picture in (
        (written.overlay, prediction.overlay(opacity)),
        (written.labels, Image.fromarray(prediction.labels.astype(pixel_type))),
    ):
        with writing(path) as partial:
            picture.save(partial, format="PNG")
    return written


def write_scores(folder: Path, stem: str, prediction: Prediction) -> Path:
    """Write STEM-scores.npz into `folder`: "words" (N) and "scores" (N x H x W, float16)."""
    scores = np.stack([prediction.score_map(word).astype(np.float16) for word in prediction.words])
    path = folder / f"{stem}-scores.npz"
    with writing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, words=np.array(prediction.words), scores=scores)
    return path


def thumbnail(picture: Image.Image) -> Image.Image:
    """As it stands on a contact sheet."""
    return ImageOps.pad(picture, (_SIDE, _SIDE), color="white")


def write_contact_sheet(folder: Path, thumbnails: Sequence[Image.Image]) -> Path:
    """Write contact-sheet.jpg into `folder`: all of them, row by row."""
    columns = math.ceil(math.sqrt(len(thumbnails)))
    sheet = Image.new("RGB", (columns * _SIDE, -(-len(thumbnails) // columns) * _SIDE), "white")
    for position, picture in enumerate(thumbnails):
        sheet.paste(picture, (position % columns * _SIDE, position // columns * _SIDE))
    path = folder / "contact-sheet.jpg"
    with writing(path) as partial:
        sheet.save(partial, format="JPEG")
    return path
