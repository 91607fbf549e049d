"""Pairs of a label map and a prediction for it, to time metrics on: regions as in real maps, or pure noise.

A prediction is the label seen through a smooth distortion of a few pixels, with some regions given another class:
long runs, wobbling borders and a few wrong objects, which is what networks produce.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt16
from PIL import Image

from ovlab.datasets.label_map import read_index_map
from ovlab.metrics.counting import IGNORE_INDEX
from ovlab.specs.errors import InputError

_NUM_REGIONS = 24
_SHARE_IGNORED, _SHARE_WRONG = 0.08, 0.25
# How far, in pixels, borders bend, and how far a prediction misses them.
_BEND, _MISS = 18.0, 4.0


class LabelPair(NamedTuple):
    prediction: UInt16[np.ndarray, "H W"]
    label: UInt16[np.ndarray, "H W"]


def random_pair(shape: tuple[int, int], num_classes: int, generator: np.random.Generator) -> LabelPair:
    """Two maps of independent classes, the worst case: no two neighbours are alike."""
    prediction, label = generator.integers(0, num_classes, (2, *shape), dtype=np.uint16)
    return LabelPair(prediction, label)


def region_pair(regions: Int64[np.ndarray, "H W"], num_classes: int, generator: np.random.Generator) -> LabelPair:
    """A label map in which every region has a random class or is ignored, and a prediction for it."""
    num_regions = int(regions.max()) + 1
    gt = generator.integers(0, num_classes, num_regions).astype(np.uint16)
    wrong = generator.random(num_regions) < _SHARE_WRONG
    predicted = np.where(wrong, generator.integers(0, num_classes, num_regions), gt).astype(np.uint16)
    gt[generator.random(num_regions) < _SHARE_IGNORED] = IGNORE_INDEX
    rows, columns = _bent_grid(regions.shape, _MISS, generator)
    return LabelPair(predicted[_at(regions, rows, columns)], gt[regions])


def drawn_regions(shape: tuple[int, int], generator: np.random.Generator) -> Int64[np.ndarray, "H W"]:
    """Region numbers: the nearest of a few random points, on a bent grid."""
    rows, columns = _bent_grid(shape, _BEND, generator)
    points = generator.random((_NUM_REGIONS, 2)) * shape
    distances = [(rows - row) ** 2 + (columns - column) ** 2 for row, column in points]
    return np.argmin(distances, axis=0)


def stored_regions(folder: Path) -> list[Int64[np.ndarray, "H W"]]:
    """The label maps of a folder of PNG files; every value is a region. Raises InputError if it holds none."""
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise InputError(f"{folder}: no .png label maps there; give a folder that holds some.")
    return [read_index_map(path).astype(np.int64) for path in paths]


def _bent_grid(
    shape: tuple[int, ...], strength: float, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
    """Row and column of every pixel, each moved by smooth noise with a standard deviation of `strength` pixels."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bends = (
        np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
        for noise in strength * generator.standard_normal((2, 16, 21), dtype=np.float32)
    )
    return rows + next(bends), columns + next(bends)


def _at(
    regions: Int64[np.ndarray, "H W"], rows: Float32[np.ndarray, "H W"], columns: Float32[np.ndarray, "H W"]
) -> Int64[np.ndarray, "H W"]:
    height, width = regions.shape
    return regions[
        np.clip(np.rint(rows).astype(np.int64), 0, height - 1),
        np.clip(np.rint(columns).astype(np.int64), 0, width - 1),
    ]
