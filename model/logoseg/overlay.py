"""A label map as a picture that a person can read: the photograph under the colours of its classes, with a legend.

Axes: H x W pixels, N classes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from logoseg.class_colours import class_colours

# How much of a painted pixel is the class colour; the rest is the photograph.
OPACITY = 0.55
IGNORED = (128, 128, 128)

# The label of a pixel that has no class.
_IGNORE_INDEX = 65535


def painted(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "H W"],
    colours: UInt8[np.ndarray, "N 3"],
    opacity: float = OPACITY,
) -> UInt8[np.ndarray, "H W 3"]:
    """The photograph under the colours of its classes; what is ignored is grey."""
    ignored = labels == _IGNORE_INDEX
    mixed = (1 - opacity) * image + opacity * colours[np.where(ignored, 0, labels)]
    return np.where(ignored[..., None], np.array(IGNORED), mixed).astype(np.uint8)


def overlay(
    image: UInt8[np.ndarray, "H W 3"],
    labels: Integer[np.ndarray, "H W"],
    words: Sequence[str],
    opacity: float = OPACITY,
) -> Image.Image:
    """The photograph under the colours of its classes, and a legend of those that occur, largest first."""
    counts = np.bincount(labels.reshape(-1), minlength=len(words))
    legend = [index for index in np.argsort(-counts, kind="stable").tolist() if counts[index]]
    colours = class_colours(len(words), legend)
    picture = Image.fromarray(painted(image, labels, colours, opacity))
    return _with_legend(picture, [(words[index], colours[index]) for index in legend])


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
