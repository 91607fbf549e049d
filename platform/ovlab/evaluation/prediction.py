"""One photograph and a few words: the label map, and a picture that a person can read.

Axes: H x W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from ovlab.evaluation.drawing import painted, palette
from ovlab.evaluation.evaluator import predict_labels
from ovlab.files.whole_file import writing
from ovlab.methods.words import text_features
from ovlab.specs.evaluation import Protocol


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


def write_prediction(
    folder: Path,
    stem: str,
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "H W"],
    words: Sequence[str],
) -> Written:
    """Write STEM-overlay.png and STEM-labels.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(folder / f"{stem}-overlay.png", folder / f"{stem}-labels.png")
    pixel_type = np.uint8 if len(words) <= 255 else np.uint16
    for path, picture in (
        (written.overlay, overlay(image, labels, words)),
        (written.labels, Image.fromarray(labels.astype(pixel_type))),
    ):
        with writing(path) as partial:
            picture.save(partial, format="PNG")
    return written


def overlay(image: UInt8[np.ndarray, "H W 3"], labels: Integer[np.ndarray, "H W"], words: Sequence[str]) -> Image.Image:
    """The photograph under the colours of its classes, and a legend of those that occur, largest first."""
    colours = palette(len(words))
    counts = np.bincount(labels.reshape(-1), minlength=len(words))
    legend = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    return _with_legend(Image.fromarray(painted(image, labels, len(words))), [(words[i], colours[i]) for i in legend])


def _with_legend(picture: Image.Image, entries: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Names beside colour squares, in as many columns as fit below the picture."""
    size = max(12, picture.height // 24)
    font = ImageFont.load_default(size)
    cell = 2 * size + max((round(font.getlength(name)) for name, _ in entries), default=0)
    width = max(picture.width, cell)
    columns = max(1, width // cell)
    rows = -(-len(entries) // columns)
    line = size + size // 2
    canvas = Image.new("RGB", (width, picture.height + rows * line + size // 2), "white")
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    for position, (name, colour) in enumerate(entries):
        x, y = position % columns * cell + size // 4, picture.height + position // columns * line + size // 3
        draw.rectangle((x, y, x + size, y + size), fill=tuple(int(value) for value in colour))
        draw.text((x + size + size // 2, y + size // 2), name, fill="black", font=font, anchor="lm")
    return canvas
