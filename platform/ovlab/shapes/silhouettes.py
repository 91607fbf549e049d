"""The outlines of the twelve shapes, as one atlas of signed distances.

A shape is a list of closed rings in a frame where x points right, y down and the shape reaches about 1 from the
origin; a second ring cuts a hole. The signed distance (negative inside) is sampled on a grid, and a renderer reads it
with bilinear weights at any rotation and size. Vertices are rounded to 1 / 4096, so that a last digit of another
machine's sine cannot reach a picture.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Float32

from ovlab.shapes.world import SHAPES

# The atlas covers [-EXTENT, EXTENT] in both axes with ATLAS_SIZE samples a side; the first and last lie on the border.
EXTENT = 1.5
ATLAS_SIZE = 129

Ring = list[tuple[float, float]]


def _polar(radii: list[float]) -> Ring:
    """Points at equal angles, the first straight up."""
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]


def _circle(radius: float) -> Ring:
    return _polar([radius] * 96)


def _heart() -> Ring:
    """The classic parametric heart: x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t."""
    ring = []
    for i in range(96):
        t = 2 * math.pi * i / 96
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        ring.append((x / 16, -(y + 2.5) / 16))
    return ring


def _moon() -> Ring:
    """A unit arc open to the right, closed by a second arc through its two tips."""
    outer = [math.radians(a) for a in range(50, 311, 4)]
    tip_x, tip_y = math.cos(outer[0]), math.sin(outer[0])
    centre = 0.45
    radius = math.hypot(tip_x - centre, tip_y)
    start = math.atan2(tip_y, tip_x - centre)
    inner = [2 * math.pi - start - (2 * math.pi - 2 * start) * i / 48 for i in range(1, 48)]
    ring = [(math.cos(a), math.sin(a)) for a in outer]
    ring += [(centre + radius * math.cos(a), radius * math.sin(a)) for a in inner]
    return [(x + 0.2, y) for x, y in ring]


def _cross() -> Ring:
    arm, end = 0.33, 0.98
    quarter = [(arm, -end), (arm, -arm), (end, -arm)]
    ring: Ring = []
    for _ in range(4):
        ring += quarter
        quarter = [(-y, x) for x, y in quarter]
    return ring


_RINGS: dict[str, list[Ring]] = {
    "circle": [_circle(0.88)],
    "square": [[(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)]],
    "triangle": [[(0.0, -1.0), (1.05, 0.8), (-1.05, 0.8)]],
    "star": [_polar([1.12, 0.46] * 5)],
    "cross": [_cross()],
    "heart": [_heart()],
    "ring": [_circle(1.0), _circle(0.5)],
    "moon": [_moon()],
    "arrow": [[(-1.05, -0.3), (0.0, -0.3), (0.0, -0.82), (1.05, 0.0), (0.0, 0.82), (0.0, 0.3), (-1.05, 0.3)]],
    "flower": [_polar([0.55 + 0.55 * abs(math.cos(math.pi * 5 * i / 120)) for i in range(120)])],
    "bolt": [[(0.3, -1.1), (-0.72, 0.2), (-0.12, 0.2), (-0.4, 1.1), (0.78, -0.32), (0.12, -0.32), (0.66, -1.1)]],
    "bow": [[(-1.05, -0.78), (0.0, -0.18), (1.05, -0.78), (1.05, 0.78), (0.0, 0.18), (-1.05, 0.78)]],
}


@lru_cache(maxsize=1)
def silhouette_atlas() -> Float32[np.ndarray, "12 129 129"]:
    """Signed distance to the outline of every shape, in the order of SHAPES, in units of the shape's frame."""
    return np.stack([_signed_distance(_RINGS[name]) for name in SHAPES])


def _signed_distance(rings: list[Ring]) -> Float32[np.ndarray, "129 129"]:
    axis = (np.arange(ATLAS_SIZE) / (ATLAS_SIZE - 1) * 2 - 1) * EXTENT
    x, y = np.meshgrid(axis, axis)
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for ring in rings:
        vertices = np.round(np.array(ring) * 4096) / 4096
        for (ax, ay), (bx, by) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
            nearest = np.minimum(nearest, _squared_distance(x, y, (ax, ay), (bx, by)))
            inside ^= _crosses(x, y, (ax, ay), (bx, by))
    distance = np.sqrt(nearest)
    return np.where(inside, -distance, distance).astype(np.float32)


def _squared_distance(
    x: Float[np.ndarray, "H W"], y: Float[np.ndarray, "H W"], a: tuple[float, float], b: tuple[float, float]
) -> Float[np.ndarray, "H W"]:
    """To the segment from a to b."""
    edge_x, edge_y = b[0] - a[0], b[1] - a[1]
    along = ((x - a[0]) * edge_x + (y - a[1]) * edge_y) / (edge_x * edge_x + edge_y * edge_y)
    along = np.minimum(np.maximum(along, 0.0), 1.0)
    rest_x, rest_y = x - a[0] - along * edge_x, y - a[1] - along * edge_y
    return rest_x * rest_x + rest_y * rest_y


def _crosses(
    x: Float[np.ndarray, "H W"], y: Float[np.ndarray, "H W"], a: tuple[float, float], b: tuple[float, float]
) -> Bool[np.ndarray, "H W"]:
    """Whether a ray to the right of (x, y) crosses the segment: an odd number of crossings is inside."""
    spans = (a[1] > y) != (b[1] > y)
    rise = b[1] - a[1] if b[1] != a[1] else 1.0
    return spans & (x < a[0] + (y - a[1]) * (b[0] - a[0]) / rise)
