"""From a scene to an image and the exact label of every pixel."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, UInt8, UInt16

from ovlab.shapes.paint_kernels import develop, paint_object, paint_region, paint_shadow
from ovlab.shapes.randomness import philox, random_bytes
from ovlab.shapes.scene import IMAGE_SIZE, NUM_KNOTS, Region, Scene, SceneObject
from ovlab.shapes.silhouettes import ATLAS_SIZE, EXTENT, silhouette_atlas
from ovlab.shapes.textures import stuff_tile
from ovlab.shapes.world import COMPOSITIONS, NUM_COMPOSITIONS

_SIDES = {"all": 0, "below": 1, "right": 2, "left": 3}
_SHADOW = 0.4


@dataclass(frozen=True, slots=True)
class Rendering:
    """image: RGB. surface: the world id of the front-most thing at each pixel centre. ground: the same without the
    objects, that is, the stuff behind them."""

    image: UInt8[np.ndarray, "96 96 3"]
    surface: UInt16[np.ndarray, "96 96"]
    ground: UInt16[np.ndarray, "96 96"]


def render(scene: Scene) -> Rendering:
    """Paint the scene back to front."""
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3))
    surface = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint16)
    for region in scene.regions:
        _paint_region(canvas, surface, region)
    ground = surface.copy()
    for shown in scene.objects:
        _paint_object(canvas, surface, shown, scene.light.relief)
    noise = random_bytes(philox(scene.seed, scene.index, "noise"), IMAGE_SIZE, IMAGE_SIZE, 3, 2)
    image = develop(canvas, scene.light.gain, scene.light.slope, scene.light.noise, noise)
    return Rendering(image=image, surface=surface, ground=ground)


def _paint_region(canvas: Float64[np.ndarray, "96 96 3"], surface: UInt16[np.ndarray, "96 96"], region: Region) -> None:
    knots = np.array(region.knots or (0.0,) * NUM_KNOTS)
    tile = stuff_tile(region.stuff, region.tile)
    world_id = np.uint16(NUM_COMPOSITIONS + region.stuff)
    side = _SIDES[region.side]
    paint_region(canvas, surface, world_id, tile, region.offset, region.mirrored, region.gain, side, knots)


def _paint_object(
    canvas: Float64[np.ndarray, "96 96 3"],
    surface: UInt16[np.ndarray, "96 96"],
    shown: SceneObject,
    relief: float,
) -> None:
    composition = COMPOSITIONS[shown.composition]
    distances = silhouette_atlas()[composition.shape]
    frame = _frame(shown)
    colours = np.array((shown.first_colour, shown.second_colour))
    pattern = (shown.period, *_cosine_sine(shown.pattern_angle), *shown.pattern_phase)
    shift = (1.0 + 0.05 * shown.radius, 1.0 + 0.08 * shown.radius)
    paint_shadow(canvas, distances, frame, shift, 2.0 + 0.12 * shown.radius, relief * _SHADOW)
    world_id = np.uint16(shown.composition)
    paint_object(canvas, surface, world_id, distances, frame, colours, composition.texture, pattern, relief)


def _frame(shown: SceneObject) -> tuple[float, ...]:
    """Where and how the atlas lies in the image; see shapes_kernels.paint_object."""
    cosine, sine = _cosine_sine(shown.angle)
    samples = (ATLAS_SIZE - 1) / (2 * EXTENT) / shown.radius  # of the atlas, per pixel
    across = samples / shown.aspect * (-1 if shown.mirrored else 1)
    down = samples * shown.aspect
    # No outline lies further out than 1.35 of the shape's frame, and EXTENT is more.
    reach = EXTENT * shown.radius * max(shown.aspect, 1 / shown.aspect) + 1
    return (
        *(shown.x, shown.y, shown.radius, reach),
        *(cosine * across, sine * across, -sine * down, cosine * down),
    )


@lru_cache(maxsize=512)
def _cosine_sine(degrees: int) -> tuple[float, float]:
    """Rounded to 14 bits, so that a last digit of another machine's cosine cannot reach a picture."""
    angle = math.radians(degrees)
    return round(math.cos(angle) * 2**14) / 2**14, round(math.sin(angle) * 2**14) / 2**14
