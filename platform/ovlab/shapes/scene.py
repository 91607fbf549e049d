"""What a shapes scene consists of.

A scene is a plain description, painted back to front: regions of stuff, then objects, then light and noise. Positions
and lengths are in pixels, x to the right and y down; the centre of the top-left pixel is (0.5, 0.5).
"""

from dataclasses import dataclass
from typing import Literal

IMAGE_SIZE = 96
# The border of a region is a cubic B-spline through this many control values, 16 pixels apart, starting at -16.
NUM_KNOTS = 9

Rgb = tuple[float, float, float]
# Where a region lies: on one side of a curve y = knots(x) or x = knots(y), or everywhere.
Side = Literal["all", "below", "right", "left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Stuff on one side of a curve. stuff: position in STUFF; offset: row and column of the tile that comes to lie at
    the top left; gain: factor of each channel."""

    stuff: int
    side: Side
    knots: tuple[float, ...]
    tile: int
    offset: tuple[int, int]
    mirrored: bool
    gain: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One composition somewhere. composition: world id; radius: pixels of one unit of the shape's frame, times `aspect`
    across and divided by it down; angle: whole degrees; period: pixels from stripe to stripe; pattern_angle: whole
    degrees; pattern_phase: parts of a period."""

    composition: int
    x: float
    y: float
    radius: float
    aspect: float
    angle: int
    mirrored: bool
    first_colour: Rgb
    second_colour: Rgb
    period: float
    pattern_angle: int
    pattern_phase: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """gain: factor of each channel; slope: change of the factor across the image, right and down; noise: largest
    change of a value; relief: strength of the rims and shadows of objects, 0 .. 1."""

    gain: Rgb = (1.0, 1.0, 1.0)
    slope: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    relief: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a renderer needs. seed and index name the stream of the noise."""

    regions: tuple[Region, ...]
    objects: tuple[SceneObject, ...]
    light: Light
    seed: int
    index: int
