import numpy as np
import pytest

from ovlab.shapes.silhouettes import ATLAS_SIZE, EXTENT, silhouette_atlas
from ovlab.shapes.world import SHAPES


def axes() -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(-EXTENT, EXTENT, ATLAS_SIZE)
    return np.meshgrid(axis, axis)


def distance_at(shape: str, x: float, y: float) -> float:
    column, row = (round((value / EXTENT + 1) / 2 * (ATLAS_SIZE - 1)) for value in (x, y))
    return float(silhouette_atlas()[SHAPES.index(shape), row, column])


def test_circle_distance_is_radius_minus_088() -> None:
    x, y = axes()

    np.testing.assert_allclose(silhouette_atlas()[SHAPES.index("circle")], np.hypot(x, y) - 0.88, atol=1e-3)


def test_ring_distance_counts_from_the_nearer_circle() -> None:
    x, y = axes()
    radius = np.hypot(x, y)

    expected = np.maximum(radius - 1.0, 0.5 - radius)

    np.testing.assert_allclose(silhouette_atlas()[SHAPES.index("ring")], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [
        ("square", (0.75, 0.75), (0.9, 0.0)),
        ("triangle", (0.0, -0.8), (0.7, -0.6)),
        ("star", (0.0, -0.9), (0.0, 0.7)),
        ("cross", (0.9, 0.0), (0.6, 0.6)),
        ("heart", (0.5, -0.5), (0.0, -0.9)),
        ("moon", (-0.6, 0.0), (0.5, 0.0)),
        ("arrow", (0.8, 0.0), (-0.6, 0.6)),
        ("flower", (0.0, -1.0), (0.0, 0.75)),
        ("bolt", (0.1, -0.7), (-0.6, -0.6)),
        ("bow", (0.9, 0.5), (0.0, 0.5)),
    ],
)
def test_shape_holds_what_its_name_says(shape: str, inside: tuple[float, float], outside: tuple[float, float]) -> None:
    assert distance_at(shape, *inside) < 0 < distance_at(shape, *outside)


def test_distances_change_by_no_more_than_the_step() -> None:
    step = 2 * EXTENT / (ATLAS_SIZE - 1)

    for axis in (1, 2):
        assert np.abs(np.diff(silhouette_atlas(), axis=axis)).max() <= step * 1.001


def test_shapes_keep_away_from_the_border_of_the_atlas() -> None:
    x, y = axes()

    assert all((distances[np.hypot(x, y) > 1.35] > 0).all() for distances in silhouette_atlas())


def test_no_two_upright_shapes_overlap_much_but_circle_and_square() -> None:
    masks = {name: distances < 0 for name, distances in zip(SHAPES, silhouette_atlas(), strict=True)}
    pairs = {(a, b) for a in masks for b in masks if a < b} - {("circle", "square")}

    overlap = {(a, b): (masks[a] & masks[b]).sum() / (masks[a] | masks[b]).sum() for a, b in pairs}

    assert max(overlap.values()) < 0.75, max(overlap, key=overlap.get)
