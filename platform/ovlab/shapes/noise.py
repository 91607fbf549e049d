"""Seamless noise and patterns, the raw material of the stuff textures.

Every field is TILE_SIZE x TILE_SIZE, float32, in about 0 .. 1, and wraps around at its borders, so that a crop may
start anywhere. Only +, -, *, /, sqrt, floor, minimum and maximum are used: they are exact to the last bit on every
platform, while powers and trigonometric functions are not.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy.random import Philox

from ovlab.shapes.randomness import random_bytes

TILE_SIZE = 192

Field = Float32[np.ndarray, "192 192"]


def rows() -> Field:
    """The pixel row of each pixel, 0 .. TILE_SIZE - 1."""
    return np.repeat(np.arange(TILE_SIZE, dtype=np.float32)[:, None], TILE_SIZE, axis=1)


def columns() -> Field:
    """The pixel column of each pixel."""
    return rows().T.copy()


def smooth(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, and a smooth step between."""
    t = clipped((field - low) / (high - low))
    return t * t * (3 - 2 * t)


def clipped(field: Field) -> Field:
    """The field limited to 0 .. 1."""
    return np.minimum(np.maximum(field, 0), 1)


def fraction(field: Field) -> Field:
    """What is left after the decimal point."""
    return field - np.floor(field)


def wave(phase: Field) -> Field:
    """A soft wave of period 1: 0 at whole numbers, 1 half-way between."""
    ramp = np.abs(fraction(phase) * 2 - 1)
    return 1 - ramp * ramp * (3 - 2 * ramp)


def value_noise(generator: Philox, cells_down: int, cells_across: int) -> Field:
    """Random values on a lattice of cells, joined smoothly. Both counts divide TILE_SIZE."""
    lattice = random_bytes(generator, cells_down, cells_across).astype(np.float32) / 255
    return _upsampled(_upsampled(lattice).T).T


def fractal_noise(generator: Philox, cells_down: int, cells_across: int, octaves: int) -> Field:
    """A sum of value noises, each at twice the frequency and half the weight of the one before."""
    total = np.zeros((TILE_SIZE, TILE_SIZE), np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        scale = 2**octave
        total += weight * value_noise(generator, cells_down * scale, cells_across * scale)
        weights += weight
        weight /= 2
    return total / weights


class Cells(NamedTuple):
    """A Voronoi pattern. edge: pixels to about the nearest border between two cells; centre: pixels to the nearest
    seed; value: one random number in 0 .. 1 a cell."""

    edge: Field
    centre: Field
    value: Field


def voronoi(generator: Philox, cells_down: int, cells_across: int) -> Cells:
    """Cells around one random seed in each box of a lattice."""
    height, width = TILE_SIZE // cells_down, TILE_SIZE // cells_across
    draws = random_bytes(generator, 3, cells_down, cells_across).astype(np.float32) / 256
    y, x = rows(), columns()
    row, column = (y / height).astype(np.intp), (x / width).astype(np.intp)
    nearest = np.full((TILE_SIZE, TILE_SIZE), 1e9, np.float32)
    second = nearest.copy()
    value = np.zeros_like(nearest)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            seed_row, seed_column = row + down, column + across
            wrapped = (seed_row % cells_down, seed_column % cells_across)
            dy = (seed_row.astype(np.float32) + draws[0][wrapped]) * height - y
            dx = (seed_column.astype(np.float32) + draws[1][wrapped]) * width - x
            distance = np.sqrt(dy * dy + dx * dx)
            second = np.minimum(second, np.maximum(nearest, distance))
            value = np.where(distance < nearest, draws[2][wrapped], value)
            nearest = np.minimum(nearest, distance)
    return Cells(edge=(second - nearest) / 2, centre=nearest, value=value)


def _upsampled(lattice: Float32[np.ndarray, "cells other"]) -> Float32[np.ndarray, "192 other"]:
    cells = lattice.shape[0]
    position = np.arange(TILE_SIZE, dtype=np.float32) * (cells / TILE_SIZE)
    below = position.astype(np.intp)
    t = position - below.astype(np.float32)
    t = (t * t * (3 - 2 * t))[:, None]
    return lattice[below] * (1 - t) + lattice[(below + 1) % cells] * t
