"""The twenty kinds of stuff as seamless tiles, drawn from noise once a process and then only cropped.

Each function takes a random stream and returns one tile: TILE_SIZE x TILE_SIZE x 3, float32, 0 .. 255 before clipping.
Two tiles of a kind differ in everything random, never in what makes the kind recognisable.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.random import Philox

from ovlab.shapes.noise import (
    TILE_SIZE,
    Field,
    clipped,
    columns,
    fractal_noise,
    fraction,
    rows,
    smooth,
    value_noise,
    voronoi,
    wave,
)
from ovlab.shapes.randomness import philox
from ovlab.shapes.world import STUFF

TILES_PER_STUFF = 4

Colour = tuple[int, int, int]
Picture = Float32[np.ndarray, "192 192 3"]


@lru_cache(maxsize=len(STUFF) * TILES_PER_STUFF)
def stuff_tile(stuff: int, tile: int) -> UInt8[np.ndarray, "192 192 3"]:
    """Tile number `tile` of STUFF[stuff]."""
    picture = _PAINTERS[stuff](philox(stuff, tile, "texture"))
    return np.floor(np.minimum(np.maximum(picture, 0), 255) + 0.5).astype(np.uint8)


def _blend(first: Colour | Picture, second: Colour | Picture, weight: Field) -> Picture:
    """`first` where the weight is 0, `second` where it is 1."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return a + (b - a) * weight[..., None]


def _shaded(picture: Picture, brightness: Field) -> Picture:
    return picture * brightness[..., None]


def _sky(random: Philox) -> Picture:
    clouds = smooth(fractal_noise(random, 6, 3, 4), 0.46, 0.68)
    return _blend((92, 160, 236), (250, 251, 253), clouds * 0.92)


def _grass(random: Philox) -> Picture:
    blades = value_noise(random, 24, 96) * 0.6 + value_noise(random, 48, 192) * 0.4
    patches = fractal_noise(random, 3, 3, 3)
    return _shaded(_blend((52, 112, 30), (150, 200, 70), smooth(blades, 0.2, 0.85)), 0.8 + 0.4 * patches)


def _water(random: Philox) -> Picture:
    swell = fractal_noise(random, 4, 2, 3)
    phase = rows() / 16 + swell * 2.2
    crests = smooth(wave(phase) * 0.75 + value_noise(random, 32, 8) * 0.35, 0.72, 0.98)
    return _blend(_blend((18, 88, 132), (38, 132, 172), wave(phase)), (196, 234, 240), crests)


def _sand(random: Philox) -> Picture:
    ripples = wave(rows() / 24 + fractal_noise(random, 3, 2, 2) * 2)
    grain = value_noise(random, 192, 192)
    return _shaded(_blend((206, 172, 116), (244, 218, 164), ripples), 0.9 + 0.18 * grain)


def _brick(random: Philox) -> Picture:
    course = np.floor(rows() / 16)
    across = columns() / 32 + fraction(course / 2)
    joint = np.minimum(_to_border(rows() / 16, 16), _to_border(across, 32))
    brick = _per_cell(random, course, np.floor(across), 12, 6)
    rough = fractal_noise(random, 24, 24, 3)
    clay = _shaded(_blend((142, 58, 40), (190, 92, 62), brick), 0.8 + 0.4 * rough)
    return _blend((204, 194, 178), clay, smooth(joint, 0.8, 2.0))


def _wood(random: Philox) -> Picture:
    plank = np.floor(rows() / 24)
    tone = _per_cell(random, plank, np.zeros_like(plank), 8, 1)
    rings = wave(rows() / 8 + fractal_noise(random, 8, 2, 3) * 4 + tone * 9)
    board = _shaded(_blend((112, 66, 30), (184, 124, 66), rings), 0.8 + 0.35 * tone)
    return _blend((52, 30, 16), board, smooth(_to_border(rows() / 24, 24), 0.4, 1.8))


def _stone(random: Philox) -> Picture:
    cells = voronoi(random, 8, 8)
    rough = fractal_noise(random, 16, 16, 3)
    cobble = _shaded(_blend((112, 112, 118), (178, 174, 166), cells.value), 0.75 + 0.4 * rough)
    rounded = smooth(cells.edge, 0.5, 7.0) * 0.4 + 0.6
    return _blend((52, 50, 48), _shaded(cobble, rounded), smooth(cells.edge, 0.6, 2.2))


def _marble(random: Philox) -> Picture:
    warp = fractal_noise(random, 6, 6, 3) * 1.1 + fractal_noise(random, 2, 2, 1) * 0.8
    slant = fraction((rows() + columns()) / 96 + warp)
    veins = smooth(np.abs(slant - 0.5), 0.02, 0.12) * (0.55 + 0.45 * smooth(np.abs(slant - 0.2), 0.0, 0.05))
    return _blend((112, 106, 120), _blend((214, 206, 196), (244, 238, 230), fractal_noise(random, 4, 4, 3)), veins)


def _snow(random: Philox) -> Picture:
    drifts = fractal_noise(random, 8, 4, 2)
    hollows = smooth(wave(rows() / 32 + drifts * 2.4), 0.0, 0.8)
    flakes = voronoi(random, 12, 12)
    sparkle = smooth(flakes.centre, 2.0, 0.8) * smooth(flakes.value, 0.5, 0.6)
    return _blend(_blend((176, 196, 228), (242, 246, 252), hollows), (255, 255, 255), sparkle)


def _road(random: Philox) -> Picture:
    asphalt = _shaded(_blend((62, 62, 66), (98, 98, 100), value_noise(random, 192, 192)), 0.85 + 0.3 * _soft(random))
    across = np.abs(fraction(rows() / 64) - 0.5) * 64
    along = np.abs(fraction(columns() / 48) - 0.5) * 48
    dash = smooth(across, 3.2, 2.2) * smooth(along, 14.5, 13.5)
    return _blend(asphalt, (236, 232, 216), dash * (0.75 + 0.25 * value_noise(random, 64, 64)))


def _soil(random: Philox) -> Picture:
    clods = fractal_noise(random, 12, 12, 4)
    ground = _blend((54, 34, 22), (134, 92, 60), smooth(clods, 0.25, 0.75))
    pebbles = voronoi(random, 16, 16)
    chosen = smooth(pebbles.centre, 3.4, 2.4) * smooth(pebbles.value, 0.70, 0.72)
    return _blend(ground, (188, 162, 132), chosen)


def _ice(random: Philox) -> Picture:
    plates = voronoi(random, 4, 4)
    splinters = voronoi(random, 12, 12)
    sheet = _shaded(_blend((150, 216, 232), (206, 240, 246), plates.value), 0.9 + 0.2 * _soft(random))
    cracks = np.maximum(smooth(plates.edge, 2.2, 0.4), smooth(splinters.edge, 0.9, 0.1) * 0.45)
    return _blend(sheet, (252, 255, 255), cracks)


def _hedge(random: Philox) -> Picture:
    leaves = voronoi(random, 24, 24)
    leaf = _blend((24, 78, 40), (72, 142, 62), leaves.value)
    return _shaded(leaf, clipped(1.25 - leaves.centre / 7) * (0.75 + 0.5 * fractal_noise(random, 6, 6, 2)))


def _fence(random: Philox) -> Picture:
    picket = _to_border(columns() / 24, 24)
    grain = value_noise(random, 6, 96)
    board = _shaded(_blend((226, 220, 208), (250, 248, 240), grain), 0.82 + 0.18 * smooth(picket, 3.0, 6.0))
    rail = smooth(np.abs(fraction(rows() / 64) - 0.5) * 64, 5.5, 4.5)
    shade = _shaded(_blend((38, 66, 48), (70, 104, 62), fractal_noise(random, 8, 8, 3)), 0.9 + 0.2 * grain)
    behind = _blend(shade, (196, 190, 178), rail)
    return _blend(behind, board, smooth(picket, 3.2, 4.4))


def _tile(random: Philox) -> Picture:
    row, column = rows() / 24, columns() / 24
    glaze = _per_cell(random, np.floor(row), np.floor(column), 8, 8)
    border = np.minimum(_to_border(row, 24), _to_border(column, 24))
    shine = 0.92 + 0.16 * fraction((rows() + columns()) / 48)
    face = _shaded(_blend((86, 168, 164), (140, 206, 198), glaze), shine)
    return _blend((232, 234, 228), face, smooth(border, 1.0, 2.0))


def _roof(random: Philox) -> Picture:
    course = np.floor(rows() / 16)
    across = columns() / 24 + fraction(course / 2)
    down = rows() - course * 16
    sideways = (fraction(across) - 0.5) * 24
    drop = down + sideways * sideways / 16
    shingle = _per_cell(random, course, np.floor(across), 12, 8)
    clay = _shaded(_blend((86, 74, 104), (132, 116, 146), shingle), 0.8 + 0.3 * fractal_noise(random, 24, 24, 2))
    rim = smooth(np.abs(drop - 15), 2.6, 0.6)
    return _shaded(_blend(clay, (44, 36, 56), rim), 0.82 + drop / 64)


def _metal(random: Philox) -> Picture:
    brushed = value_noise(random, 192, 6) * 0.6 + value_noise(random, 96, 3) * 0.4
    steel = _blend((142, 150, 160), (194, 202, 210), brushed)
    row, column = rows() / 16, columns() / 16
    turn = fraction((np.floor(row) + np.floor(column)) / 2) * 4 - 1
    dy = (fraction(row) - 0.5) * 16
    dx = (fraction(column) - 0.5) * 16 * turn
    along, across = (dx + dy) * 0.7071, (dx - dy) * 0.7071
    length = np.abs(along) / 6.5 + np.abs(across) / 2.4
    bump = smooth(length, 1.1, 0.7)
    lit = clipped(0.5 - across * 0.35)
    return _blend(steel, _blend((96, 104, 114), (240, 244, 248), lit), bump)


def _lava(random: Philox) -> Picture:
    crust = voronoi(random, 6, 6)
    wobble = fractal_noise(random, 12, 12, 3) * 5
    heat = smooth(crust.edge + wobble, 6.5, 1.8)
    rock = _blend((30, 22, 22), (74, 52, 48), fractal_noise(random, 24, 24, 3))
    glow = _blend((214, 48, 8), (255, 214, 70), smooth(heat, 0.55, 1.0))
    return _blend(rock, glow, smooth(heat, 0.05, 0.5))


def _carpet(random: Philox) -> Picture:
    zigzag = np.abs(fraction(columns() / 32) - 0.5) * 32
    band = fraction((rows() + zigzag) / 32)
    pile = 0.82 + 0.3 * value_noise(random, 96, 192)
    wool = _blend((120, 24, 52), (224, 186, 130), smooth(np.abs(band - 0.3), 0.12, 0.07))
    wool = _blend(wool, (38, 44, 92), smooth(np.abs(band - 0.72), 0.12, 0.07))
    return _shaded(wool, pile)


def _straw(random: Philox) -> Picture:
    shade = np.zeros((TILE_SIZE, TILE_SIZE), np.float32)
    for step, weight in ((1, 0.5), (-1, 0.5)):
        fibres = value_noise(random, 6, 96)
        # Shearing by whole pixels keeps the tile seamless and leans the fibres.
        sheared = np.stack([np.roll(line, step * number) for number, line in enumerate(fibres)])
        shade += sheared * weight
    return _blend((132, 92, 22), (250, 222, 122), smooth(shade, 0.15, 0.85))


def _soft(random: Philox) -> Field:
    return fractal_noise(random, 4, 4, 2)


def _to_border(position: Field, size: int) -> Field:
    """Pixels to the nearest border of a repeat of `size` pixels; `position` counts repeats."""
    inside = fraction(position)
    return np.minimum(inside, 1 - inside) * size


def _per_cell(random: Philox, row: Field, column: Field, num_rows: int, num_columns: int) -> Field:
    """One random number in 0 .. 1 for every cell of a grid."""
    lattice = random.random_raw(num_rows * num_columns).reshape(num_rows, num_columns) >> np.uint64(40)
    values = lattice.astype(np.float32) / 2**24
    return values[row.astype(np.intp) % num_rows, column.astype(np.intp) % num_columns]


# In the order of STUFF.
_PAINTERS: tuple[Callable[[Philox], Picture], ...] = (
    *(_sky, _grass, _water, _sand),
    *(_brick, _wood, _stone, _marble),
    *(_snow, _road, _soil, _ice),
    *(_hedge, _fence, _tile, _roof),
    *(_metal, _lava, _carpet, _straw),
)
