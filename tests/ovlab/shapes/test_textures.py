import numpy as np
import pytest

from ovlab.shapes.noise import TILE_SIZE, fractal_noise, smooth, value_noise, voronoi, wave
from ovlab.shapes.randomness import philox
from ovlab.shapes.textures import TILES_PER_STUFF, stuff_tile
from ovlab.shapes.world import STUFF


@pytest.mark.parametrize("stuff", range(len(STUFF)), ids=STUFF)
def test_tile_wraps_around_without_a_seam(stuff: int) -> None:
    tile = stuff_tile(stuff, 0).astype(float)

    for axis in (0, 1):
        steps = np.abs(np.roll(tile, -1, axis) - tile).mean(axis=(1 - axis, 2))
        # A grout line or a brick course is a large step that repeats; a seam would be larger than any of them.
        assert steps[-1] <= steps[:-1].max() * 1.05


@pytest.mark.parametrize("stuff", range(len(STUFF)), ids=STUFF)
def test_tiles_of_one_stuff_differ_but_have_the_same_colours(stuff: int) -> None:
    tiles = [stuff_tile(stuff, number).astype(float) for number in range(TILES_PER_STUFF)]

    assert all(np.abs(tiles[0] - other).mean() > 1 for other in tiles[1:])
    # A sky has more or fewer clouds.
    assert np.ptp([tile.mean(axis=(0, 1)) for tile in tiles], axis=0).max() < 60


def test_kinds_of_stuff_are_told_apart_by_colour_and_roughness() -> None:
    def description(stuff: int, number: int) -> np.ndarray:
        crop = stuff_tile(stuff, number)[:96, :96].astype(float)
        rough = [np.abs(np.diff(crop, axis=axis)).mean() for axis in (0, 1)]
        return np.array([*crop.mean(axis=(0, 1)), *crop.std(axis=(0, 1)), *rough])

    known = np.array([description(stuff, 0) for stuff in range(len(STUFF))])
    nearest = [int(np.abs(known - description(stuff, 1)).sum(axis=1).argmin()) for stuff in range(len(STUFF))]

    assert nearest == list(range(len(STUFF)))


def test_value_noise_passes_through_its_lattice() -> None:
    lattice = np.frombuffer(philox(1, 2, "texture").random_raw(2).astype("<u8").tobytes(), np.uint8).reshape(4, 4) / 255

    noise = value_noise(philox(1, 2, "texture"), 4, 4)

    np.testing.assert_allclose(noise[:: TILE_SIZE // 4, :: TILE_SIZE // 4], lattice, atol=1e-6)


def test_fractal_noise_stays_within_zero_and_one() -> None:
    noise = fractal_noise(philox(3, 0, "texture"), 3, 2, 4)

    assert 0 <= noise.min() < 0.4 < 0.6 < noise.max() <= 1
    assert noise.dtype == np.float32


def test_voronoi_agrees_with_all_seeds_in_float64() -> None:
    cells = voronoi(philox(4, 0, "texture"), 4, 6)

    raw = philox(4, 0, "texture").random_raw(9).astype("<u8").tobytes()
    draws = np.frombuffer(raw, np.uint8).reshape(3, 4, 6) / 256
    seeds = [
        ((row + draws[0, row % 4, column % 6]) * 48, (column + draws[1, row % 4, column % 6]) * 32)
        for row in range(-4, 8)
        for column in range(-6, 12)
    ]
    y, x = np.mgrid[0:TILE_SIZE:7, 0:TILE_SIZE:7]
    distances = np.sort(np.stack([np.hypot(y - sy, x - sx) for sy, sx in seeds]), axis=0)
    np.testing.assert_allclose(cells.centre[::7, ::7], distances[0], atol=1e-3)
    # A seed two boxes away can be the second nearest but is not looked for: seldom, and only far from borders.
    second = cells.centre[::7, ::7] + 2 * cells.edge[::7, ::7]
    assert (np.abs(second - distances[1]) < 1e-3).mean() > 0.97


def test_smooth_and_wave_at_known_points() -> None:
    field = np.zeros((TILE_SIZE, TILE_SIZE), np.float32)

    assert (smooth(field, 0.0, 1.0) == 0).all()
    assert (smooth(field + 0.5, 0.0, 1.0) == 0.5).all()
    assert (smooth(field + 2, 0.0, 1.0) == 1).all()
    assert (wave(field + 3) == 0).all()
    assert (wave(field + 2.5) == 1).all()
