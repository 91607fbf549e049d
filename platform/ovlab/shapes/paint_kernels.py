"""The four loops that turn a scene into pixels, compiled.

They use +, -, *, /, sqrt and floor in float64 only, in a fixed order and without fast-math, so that they give the same
bits on every platform. A pixel belongs to a surface when the pixel's centre lies on it, which is exactly when the
surface covers at least half of it by the soft edge that is painted; the edge is one pixel wide.

Axes: H x W = canvas, 3 = red, green, blue. Coordinates are pixels, the centre of pixel (0, 0) at (0.5, 0.5).
"""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True)
@no_type_check
def paint_region(canvas, surface, world_id, tile, offset, mirrored, gain, side, knots):
    """Paint the tile where the side of the curve says. side: 0 everywhere, 1 below, 2 right of, 3 left of it."""
    height, width = surface.shape
    size = tile.shape[0]
    border = np.empty(max(height, width))
    for position in range(border.shape[0]):
        border[position] = _curve(knots, position + 0.5)
    for row in range(height):
        tile_row = (row + offset[0]) % size
        for column in range(width):
            cover = 1.0
            if side == 1:
                cover = row + 0.5 - border[column] + 0.5
            elif side == 2:
                cover = column + 0.5 - border[row] + 0.5
            elif side == 3:
                cover = border[row] - (column + 0.5) + 0.5
            if cover <= 0.0:
                continue
            cover = min(cover, 1.0)
            if cover >= 0.5:
                surface[row, column] = world_id
            tile_column = (column + offset[1]) % size
            if mirrored:
                tile_column = size - 1 - tile_column
            for channel in range(3):
                colour = tile[tile_row, tile_column, channel] * gain[channel]
                canvas[row, column, channel] += cover * (colour - canvas[row, column, channel])


@njit(cache=True)
@no_type_check
def paint_shadow(canvas, distances, frame, shift, softness, strength):
    """Darken where the shifted silhouette falls, fading over `softness` pixels. frame: see paint_object."""
    height, width = canvas.shape[:2]
    x, y, reach = frame[0] + shift[0], frame[1] + shift[1], frame[3]
    for row in range(_inside(y - reach, height), _inside(y + reach, height)):
        for column in range(_inside(x - reach, width), _inside(x + reach, width)):
            far = _distance(distances, frame, column + 0.5 - x, row + 0.5 - y)
            shade = 1.0 - strength * _unit(0.5 - far / softness)
            for channel in range(3):
                canvas[row, column, channel] *= shade


@njit(cache=True)
@no_type_check
def paint_object(canvas, surface, world_id, distances, frame, colours, texture, pattern, relief):
    """Paint one object.

    distances: the shape's signed distances, in radii. frame: x, y, radius; reach, the pixels around (x, y) that hold
    the object and its edge; then how atlas columns and atlas rows grow with dx and dy. colours: 2 x 3. texture: 0
    plain, 1 striped, 2 dotted, 3 checked. pattern: period, cosine, sine, phase across, phase along.
    """
    height, width = surface.shape
    x, y, radius, reach = frame[0], frame[1], frame[2], frame[3]
    period = pattern[0]
    for row in range(_inside(y - reach, height), _inside(y + reach, height)):
        for column in range(_inside(x - reach, width), _inside(x + reach, width)):
            dx, dy = column + 0.5 - x, row + 0.5 - y
            far = _distance(distances, frame, dx, dy)
            if far >= 0.5:
                continue
            cover = min(0.5 - far, 1.0)
            if far <= 0.0:
                surface[row, column] = world_id
            across = _fraction((pattern[1] * dx + pattern[2] * dy) / period + pattern[3]) - 0.5
            along = _fraction((pattern[1] * dy - pattern[2] * dx) / period + pattern[4]) - 0.5
            second = _pattern(texture, across, along, period)
            # A rim a little darker than the face, and a face a little lighter towards the top left.
            rim = 1.0 - relief * 0.34 * _unit(1.0 + far / 2.2)
            shine = 1.0 - relief * 0.09 * (dx + 1.4 * dy) / radius
            for channel in range(3):
                colour = colours[0, channel] + second * (colours[1, channel] - colours[0, channel])
                colour = min(colour * rim * shine, 255.0)
                canvas[row, column, channel] += cover * (colour - canvas[row, column, channel])


@njit(cache=True)
@no_type_check
def develop(canvas, gain, slope, amount, noise):
    """The canvas under its light, with noise (two bytes a value make a triangular one), rounded to uint8."""
    height, width = canvas.shape[:2]
    image = np.empty((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            light = 1.0 + slope[0] * ((column + 0.5) / width - 0.5) + slope[1] * ((row + 0.5) / height - 0.5)
            for channel in range(3):
                value = canvas[row, column, channel] * gain[channel] * light
                random = np.float64(noise[row, column, channel, 0]) + np.float64(noise[row, column, channel, 1])
                value += amount * (random / 255.0 - 1.0)
                image[row, column, channel] = np.uint8(np.floor(min(max(value, 0.0), 255.0) + 0.5))
    return image


@njit(cache=True)
@no_type_check
def _curve(knots, position):
    """Uniform cubic B-spline with knots 16 pixels apart, the first at -16."""
    step = position / 16.0
    first = int(np.floor(step))
    t = step - first
    s = 1.0 - t
    return (
        s * s * s * knots[first]
        + (3.0 * t * t * t - 6.0 * t * t + 4.0) * knots[first + 1]
        + (3.0 * s * s * s - 6.0 * s * s + 4.0) * knots[first + 2]
        + t * t * t * knots[first + 3]
    ) / 6.0


@njit(cache=True)
@no_type_check
def _distance(distances, frame, dx, dy):
    """Pixels to the outline, negative inside; bilinear in the atlas, far away outside of it."""
    last = distances.shape[0] - 1
    column = frame[4] * dx + frame[5] * dy + 0.5 * last
    row = frame[6] * dx + frame[7] * dy + 0.5 * last
    if column < 0.0 or row < 0.0 or column >= last or row >= last:
        return frame[3]
    i, j = int(row), int(column)
    a, b = row - i, column - j
    top = distances[i, j] + b * (distances[i, j + 1] - distances[i, j])
    bottom = distances[i + 1, j] + b * (distances[i + 1, j + 1] - distances[i + 1, j])
    return (top + a * (bottom - top)) * frame[2]


@njit(cache=True)
@no_type_check
def _inside(position, size):
    """The whole number of pixels below the position, limited to the canvas."""
    return int(min(max(np.floor(position), 0.0), size + 0.0))


@njit(cache=True)
@no_type_check
def _pattern(texture, across, along, period):
    """How much of the second colour, 0 .. 1; across and along in -0.5 .. 0.5 of a period."""
    if texture == 1:
        return _unit(0.5 + (abs(across) - 0.27) * period)
    if texture == 2:
        return _unit(0.5 + (0.31 - np.sqrt(across * across + along * along)) * period)
    if texture == 3:
        one = _unit(0.5 + (abs(across) - 0.25) * period)
        two = _unit(0.5 + (abs(along) - 0.25) * period)
        return one + two - 2.0 * one * two
    return 0.0


@njit(cache=True)
@no_type_check
def _fraction(value):
    return value - np.floor(value)


@njit(cache=True)
@no_type_check
def _unit(value):
    return min(max(value, 0.0), 1.0)
