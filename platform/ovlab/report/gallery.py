"""A page of pictures for people: photograph, ground truth, prediction and where they differ, words in the legend.

Axes: H x W pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from logoseg.class_colours import class_colours
from logoseg.overlay import painted
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.evaluation.drawing import difference

TITLES = ("image", "ground truth", "prediction", "difference")
_GAP = 8


class GalleryRow(NamedTuple):
    """One image with its two label maps. Ground truth may hold IGNORE_INDEX; both index the words of the gallery."""

    image: UInt8[np.ndarray, "H W 3"]
    truth: Integer[np.ndarray, "H W"]
    prediction: Integer[np.ndarray, "H W"]


def gallery(rows: Sequence[GalleryRow], words: Sequence[str], *, side: int = 240) -> Image.Image:
    """The rows below each other, every picture `side` pixels wide, and under each row the words that occur in it.

    A class has one colour in the whole gallery. In the last column wrong pixels are red, ignored ones grey.
    """
    present = dict.fromkeys(index for row in rows for index in _present(row))
    colours = class_colours(len(words), present)
    bands = [_band(row, words, colours, side) for row in rows]
    font = ImageFont.load_default(15)
    header = 28
    page = Image.new("RGB", (bands[0].width, header + sum(band.height for band in bands)), "white")
    draw = ImageDraw.Draw(page)
    for column, title in enumerate(TITLES):
        draw.text((column * (side + _GAP) + side // 2, header // 2), title, fill="black", font=font, anchor="mm")
    top = header
    for band in bands:
        page.paste(band, (0, top))
        top += band.height
    return page


def _present(row: GalleryRow) -> list[int]:
    return [index for index in np.union1d(row.truth, row.prediction).tolist() if index != IGNORE_INDEX]


def _band(row: GalleryRow, words: Sequence[str], colours: UInt8[np.ndarray, "N 3"], side: int) -> Image.Image:
    """Four pictures beside each other, and their legend."""
    truth, prediction = (painted(row.image, labels, colours) for labels in (row.truth, row.prediction))
    pictures = (row.image, truth, prediction, difference(row.image, row.truth, row.prediction))
    height = max(1, round(side * row.image.shape[0] / row.image.shape[1]))
    present = _present(row)
    legend = _legend([(words[index], index in row.truth) for index in present], colours[present], 4 * side)
    band = Image.new("RGB", (4 * side + 3 * _GAP, height + legend.height + _GAP), "white")
    for column, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels).resize((side, height), Image.Resampling.LANCZOS)
        band.paste(picture, (column * (side + _GAP), 0))
    band.paste(legend, (0, height))
    return band


def _legend(entries: Sequence[tuple[str, bool]], colours: UInt8[np.ndarray, "entries 3"], width: int) -> Image.Image:
    """Colour squares and words from left to right; a word that is not in the ground truth has brackets."""
    font = ImageFont.load_default(13)
    places, x, y = [], 4, 4
    for word, true in entries:
        text = word if true else f"({word})"
        length = 22 + round(font.getlength(text)) + 14
        if x + length > width:
            x, y = 4, y + 19
        places.append((x, y, text))
        x += length
    canvas = Image.new("RGB", (width, y + 21), "white")
    draw = ImageDraw.Draw(canvas)
    for (x, y, text), colour in zip(places, colours, strict=True):
        draw.rectangle((x, y, x + 14, y + 14), fill=tuple(int(value) for value in colour))
        draw.text((x + 19, y + 7), text, fill="black", font=font, anchor="lm")
    return canvas
