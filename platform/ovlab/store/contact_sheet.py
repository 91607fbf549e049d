"""The pictures of an evaluation as one: a row an image; photograph, ground truth, prediction, difference."""

import io

from PIL import Image

from ovlab.files.sealed import DamagedError
from ovlab.store.pictures import KINDS, pictures_of, read_pictures
from ovlab.store.store import Store

# Of one picture, in pixels. A higher one is made narrower.
_WIDTH = 192
_HIGHEST = 4 * _WIDTH
_GAP = 4


def contact_sheet(store: Store, fingerprint: str) -> Image.Image | None:
    """None where no pictures were kept. Raises DamagedError where their index or one of them is damaged or missing."""
    index = pictures_of(store, fingerprint)
    if index is None or not index.pictures:
        return None
    contents = read_pictures(store, fingerprint, list(index.files))
    if len(contents) < len(index.files):
        lacking = len(index.files) - len(contents)
        raise DamagedError(f"evaluation {fingerprint[:12]}: {lacking} of its pictures are damaged or missing.")
    rows = [[_open(contents[picture.files[kind]]) for kind in KINDS] for picture in index.pictures]
    heights = [max(panel.height for panel in row) for row in rows]
    sheet = Image.new("RGB", (len(KINDS) * (_WIDTH + _GAP) - _GAP, sum(heights) + _GAP * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (column * (_WIDTH + _GAP), top))
        top += height + _GAP
    return sheet


def _open(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    scale = min(_WIDTH / picture.width, _HIGHEST / picture.height)
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    # The scenes of the miniature are smaller, and their pixels are to be seen.
    return picture.resize(size, Image.Resampling.NEAREST if picture.width < _WIDTH else Image.Resampling.LANCZOS)
