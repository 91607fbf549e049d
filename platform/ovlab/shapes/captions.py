"""One sentence about a random part of a scene, in one of many forms, naming only what can be seen.

A form is a template whose fields say what it needs; it is used when the scene has all of that. Nouns name an object in
full or leave out its texture, its colour or both.
"""

from itertools import pairwise
from string import Formatter

import numpy as np
from jaxtyping import UInt16

from ovlab.shapes.randomness import Draws
from ovlab.shapes.render import Rendering
from ovlab.shapes.scene import Scene, SceneObject
from ovlab.shapes.world import (
    COMPOSITIONS,
    NUM_COMPOSITIONS,
    NUM_WORLD_IDS,
    SHAPES,
    colour_shape_name,
    texture_shape_name,
    world_name,
)

# Fewer pixels than this and a thing is not mentioned.
MIN_OBJECT_PIXELS = 20
MIN_STUFF_PIXELS = 120

FORMS = (
    "{first}",
    "{a_first}",
    "the {first}",
    "a photo of {a_first}",
    "a picture of {a_first}",
    "there is {a_first} in the scene",
    "a photo of {a_first} in the scene",
    "a {size} {first}",
    "a photo of a {size} {first}",
    "{first} and {second}",
    "{a_first} and {a_second}",
    "{a_first} next to {a_second}",
    "{a_first} {relation} {a_second}",
    "a photo of {a_first} and {a_second}",
    "a scene with {a_first}, {a_second} and {a_third}",
    "{first}, {second}, {third}",
    "{a_first} on {ground}",
    "{a_first} in front of {ground}",
    "{ground} with {a_first}",
    "a photo of {a_first} on {ground}",
    "{a_first} and {a_second} on {ground}",
    "{a_first} and {stuff}",
    "{first}, {second}, {stuff}",
    "{stuff}",
    "a photo of {stuff}",
    "there is {stuff} in the scene",
    "{stuff} and {other}",
    "{stuff} next to {other}",
    "a scene with {stuff} and {other}",
)
RELATIONS = ("left of", "right of", "above", "below")
SIZES = ("small", "medium", "large")
# Object names: three full ones for each that leaves something out.
_DETAILS = (world_name, world_name, world_name, colour_shape_name, texture_shape_name)
_FIELDS = {form: frozenset(field for _, field, _, _ in Formatter().parse(form) if field) for form in FORMS}


def caption(scene: Scene, rendering: Rendering) -> str:
    """The caption of the scene, the same at every call."""
    draws = Draws(scene.seed, scene.index, "caption")
    counts = np.bincount(rendering.surface.ravel(), minlength=NUM_WORLD_IDS)
    shown = draws.shuffled([o for o in scene.objects if counts[o.composition] >= MIN_OBJECT_PIXELS])
    stuff = draws.shuffled([i for i in range(NUM_COMPOSITIONS, NUM_WORLD_IDS) if counts[i] >= MIN_STUFF_PIXELS])
    if not shown and not stuff:
        return world_name(int(counts.argmax()))
    words = _object_words(draws, shown[:3]) | dict(zip(("stuff", "other"), map(world_name, stuff), strict=False))
    if shown and (below := _ground(rendering.ground, shown[0])) in stuff:
        words["ground"] = world_name(below)
    return draws.pick([form for form in FORMS if words.keys() >= _FIELDS[form]]).format(**words)


def with_article(noun: str) -> str:
    """The noun with a or an before it."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _object_words(draws: Draws, shown: tuple[SceneObject, ...]) -> dict[str, str]:
    words: dict[str, str] = {}
    for place, one in zip(("first", "second", "third"), shown, strict=False):
        # One time in ten the shape alone.
        detail = draws.pick(_DETAILS)
        noun = SHAPES[COMPOSITIONS[one.composition].shape] if draws.chance(10) else detail(one.composition)
        words |= {place: noun, f"a_{place}": with_article(noun)}
    if shown:
        words["size"] = SIZES[(shown[0].radius >= 11) + (shown[0].radius >= 22)]
    for one, other in pairwise(shown[:2]):
        words["relation"] = _relation(one, other)
    return words


def _relation(one: SceneObject, other: SceneObject) -> str:
    """Where the one lies, seen from the other, along the axis on which they are further apart."""
    dx, dy = one.x - other.x, one.y - other.y
    if abs(dx) > abs(dy):
        return RELATIONS[0] if dx < 0 else RELATIONS[1]
    return RELATIONS[2] if dy < 0 else RELATIONS[3]


def _ground(ground: UInt16[np.ndarray, "96 96"], one: SceneObject) -> int:
    """The stuff behind the centre of the object."""
    row, column = (min(max(int(value), 0), size - 1) for value, size in zip((one.y, one.x), ground.shape, strict=True))
    return int(ground[row, column])
