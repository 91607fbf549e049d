"""What there is to see in the shapes world, and which of it is never seen in training.

An object is a composition, colour x texture x shape, named in that order: "red striped star". Stuff is named by one
word: "grass". Both share one numbering, the world id: 0 .. 383 compositions, 384 .. 403 stuff.

Held out of training are
- every composition of 24 (colour, shape) pairs: two colours a shape and three shapes a colour;
- every composition of 8 (texture, shape) pairs: two shapes a texture, one texture a shape for eight of the shapes;
- five kinds of stuff.
So "never seen" keeps a meaning when a vocabulary names objects by colour and shape only, or by texture and shape only,
and every single colour, texture and shape is seen.
"""

from dataclasses import dataclass

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black")
TEXTURES = ("plain", "striped", "dotted", "checked")
# Chosen so that no two silhouettes but circle and square overlap by more than about 0.7 after the best alignment.
SHAPES = (
    "circle",
    "star",
    "arrow",
    "square",
    "heart",
    "flower",
    "triangle",
    "ring",
    "bolt",
    "cross",
    "moon",
    "bow",
)
# Every fourth is unseen.
STUFF = (
    *("sky", "grass", "water", "sand"),
    *("brick", "wood", "stone", "marble"),
    *("snow", "road", "soil", "ice"),
    *("hedge", "fence", "tile", "roof"),
    *("metal", "lava", "carpet", "straw"),
)

NUM_COMPOSITIONS = len(COLOURS) * len(TEXTURES) * len(SHAPES)
NUM_WORLD_IDS = NUM_COMPOSITIONS + len(STUFF)


@dataclass(frozen=True, slots=True)
class Composition:
    """An object class as three positions, in COLOURS, TEXTURES and SHAPES."""

    colour: int
    texture: int
    shape: int

    @property
    def world_id(self) -> int:
        return (self.colour * len(TEXTURES) + self.texture) * len(SHAPES) + self.shape

    @property
    def name(self) -> str:
        return f"{COLOURS[self.colour]} {TEXTURES[self.texture]} {SHAPES[self.shape]}"

    @property
    def seen(self) -> bool:
        """Whether training scenes may hold it."""
        held_out_colour = self.colour in (2 * self.shape % 8, (2 * self.shape + 3) % 8)
        held_out_texture = self.shape % 3 != 2 and self.texture == self.shape % 4
        return not held_out_colour and not held_out_texture


COMPOSITIONS = tuple(
    Composition(colour, texture, shape)
    for colour in range(len(COLOURS))
    for texture in range(len(TEXTURES))
    for shape in range(len(SHAPES))
)

# World ids.
SEEN_COMPOSITIONS = tuple(c.world_id for c in COMPOSITIONS if c.seen)
UNSEEN_COMPOSITIONS = tuple(c.world_id for c in COMPOSITIONS if not c.seen)
STUFF_IDS = tuple(range(NUM_COMPOSITIONS, NUM_WORLD_IDS))
SEEN_STUFF = tuple(i for i in STUFF_IDS if i % 4 != 3)
SEEN = frozenset(SEEN_COMPOSITIONS + SEEN_STUFF)


def world_name(world_id: int) -> str:
    """The full name of a world id: "red striped star" or "grass"."""
    if world_id < NUM_COMPOSITIONS:
        return COMPOSITIONS[world_id].name
    return STUFF[world_id - NUM_COMPOSITIONS]


def colour_shape_name(world_id: int) -> str:
    """The name without the texture, "red star"; stuff keeps its own."""
    return _without(world_id, word=1)


def texture_shape_name(world_id: int) -> str:
    """The name without the colour, "striped star"; stuff keeps its own."""
    return _without(world_id, word=0)


def _without(world_id: int, word: int) -> str:
    words = world_name(world_id).split()
    return " ".join(words[:word] + words[word + 1 :]) if world_id < NUM_COMPOSITIONS else words[0]
