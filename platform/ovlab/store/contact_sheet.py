"""The pictures of an evaluation as one: a row an image; photograph, ground truth, prediction, difference."""

import io

from PIL import Image

from ovlab.store.pictures import KINDS, pictures_of, read_pictures
from ovlab.store.store import Store

# Of one picture, in pixels.
_WIDTH = 192
_GAP = 4


def contact_sheet(store: Store, fingerprint: str) -> Image.Image | None:
    """None where no pictures were kept. Raises DamagedError where their index cannot be read."""
    index = pictures_of(store, fingerprint)
    if index is None or not index.pictures:
        return None
    contents = read_pictures(store, fingerprint, list(index.files))
    rows = [[_open(contents.get(picture.files[kind])) for kind in KINDS] for picture in index.pictures]
    heights = [max(panel.height for panel in row) for row in rows]
    sheet = Image.new("RGB", (len(KINDS) * (_WIDTH + _GAP) - _GAP, sum(heights) + _GAP * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (column * (_WIDTH + _GAP), top))
        top += height + _GAP
    return sheet


def _open(content: bytes | None) -> Image.Image:
    if content is None:
        return Image.new("RGB", (_WIDTH, 1), "white")
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    size = (_WIDTH, round(_WIDTH * picture.height / picture.width))
    # The scenes of the miniature are smaller, and their pixels are to be seen.
    return picture.resize(size, Image.Resampling.NEAREST if picture.width < _WIDTH else Image.Resampling.LANCZOS)
