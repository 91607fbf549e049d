"""Drawing a scene at random: the same scene for the same distribution, seed and index, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from ovlab.shapes.noise import TILE_SIZE
from ovlab.shapes.randomness import Draws
from ovlab.shapes.scene import IMAGE_SIZE, NUM_KNOTS, Light, Region, Rgb, Scene, SceneObject, Side
from ovlab.shapes.textures import TILES_PER_STUFF
from ovlab.shapes.world import COMPOSITIONS, NUM_COMPOSITIONS, STUFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDistribution:
    """Which compositions and stuff (world ids) a split shows, how often, and how large its objects are.

    Scene number i always has composition i of `front` in front and shows stuff i, both modulo their number, so that
    nothing is missed in a pass over the lists; all else is drawn by the integer weights. No composition and no stuff
    occurs twice in one scene.
    """

    front: tuple[int, ...]
    compositions: tuple[int, ...]
    stuff: tuple[int, ...]
    composition_weights: tuple[int, ...]
    stuff_weights: tuple[int, ...]
    # Of 1, 2, 3, 4 and 5 objects.
    object_count_weights: tuple[int, int, int, int, int]
    # Percent of tiny and of large objects; the rest are of middle size.
    tiny_percent: int
    large_percent: int

    def __post_init__(self) -> None:
        if len(set(self.compositions)) < 5 or len(set(self.stuff)) < 3:
            raise ValueError("A scene distribution needs at least 5 compositions and 3 kinds of stuff.")
        if not self.front:
            raise ValueError("A scene distribution needs at least one composition to put in front.")
        if len(self.compositions) != len(self.composition_weights) or len(self.stuff) != len(self.stuff_weights):
            raise ValueError("A scene distribution needs one weight for each composition and each stuff.")


def uniform_distribution(
    compositions: Sequence[int],
    stuff: Sequence[int],
    *,
    object_count_weights: tuple[int, int, int, int, int] = (15, 25, 28, 20, 12),
    tiny_percent: int = 10,
    large_percent: int = 32,
) -> SceneDistribution:
    """All equally likely, and coming round in a fixed order that says nothing."""
    front = Draws(0, 0, "shuffle").shuffled(compositions)
    return SceneDistribution(
        front=front,
        compositions=front,
        stuff=Draws(0, 1, "shuffle").shuffled(stuff),
        composition_weights=(1,) * len(compositions),
        stuff_weights=(1,) * len(stuff),
        object_count_weights=object_count_weights,
        tiny_percent=tiny_percent,
        large_percent=large_percent,
    )


# Mean colours, and the tone of the second part of a pattern: pale, but brown for yellow, where pale would vanish.
_COLOURS: tuple[Rgb, ...] = (
    (212.0, 38.0, 40.0),
    (242.0, 126.0, 24.0),
    (246.0, 212.0, 44.0),
    (38.0, 158.0, 62.0),
    (42.0, 84.0, 214.0),
    (122.0, 50.0, 168.0),
    (244.0, 122.0, 182.0),
    (34.0, 32.0, 38.0),
)
_SECOND_COLOURS: tuple[Rgb, ...] = (
    (250.0, 226.0, 220.0),
    (255.0, 238.0, 214.0),
    (142.0, 92.0, 22.0),
    (224.0, 246.0, 222.0),
    (220.0, 230.0, 252.0),
    (236.0, 220.0, 248.0),
    (255.0, 240.0, 246.0),
    (222.0, 222.0, 226.0),
)
# Pattern period as a part of the radius, and its limits in pixels.
_PERIODS = {0: (1.0, 8.0, 8.0), 1: (0.56, 5.0, 15.0), 2: (0.60, 5.5, 15.0), 3: (0.80, 7.0, 20.0)}
# Stuff that stands high in a picture comes first; the rest is ground.
_HEIGHT = {"sky": 0, "hedge": 1, "fence": 1, "brick": 1, "roof": 1, "wood": 2, "marble": 2, "tile": 2, "metal": 2}
_COUNT_FACTOR = (1.2, 1.05, 0.93, 0.84, 0.76)


def draw_scene(distribution: SceneDistribution, seed: int, index: int) -> Scene:
    """Scene number `index` of the distribution: the same for the same arguments, everywhere."""
    draws = Draws(seed, index, "scene")
    return Scene(
        regions=_draw_regions(draws, distribution, index),
        objects=_draw_objects(draws, distribution, index),
        light=_draw_light(draws),
        seed=seed,
        index=index,
    )


def draw_close_up(compositions: Sequence[int], stuff: Sequence[int], seed: int, index: int) -> Scene:
    """One large object in the middle of one kind of stuff; world ids, all equally likely."""
    draws = Draws(seed, index, "close_up")
    background = _draw_region(draws, draws.pick(stuff), "all", ())
    shown = _draw_object(draws, draws.pick(compositions), draws.uniform(24.0, 42.0))
    centred = replace(shown, x=shown.x + draws.uniform(-8.0, 8.0), y=shown.y + draws.uniform(-8.0, 8.0))
    return Scene(regions=(background,), objects=(centred,), light=_draw_light(draws), seed=seed, index=index)


def _draw_regions(draws: Draws, distribution: SceneDistribution, index: int) -> tuple[Region, ...]:
    """One to three regions; what stands high in a picture is painted first, the ground over it."""
    first = distribution.stuff[index % len(distribution.stuff)]
    num_regions = 1 + draws.below(3)
    chosen = _distinct(draws, first, distribution.stuff, distribution.stuff_weights, num_regions)
    chosen.sort(key=lambda world_id: _HEIGHT.get(_stuff_name(world_id), 3))
    regions = [_draw_region(draws, chosen[0], "all", ())]
    horizons = {1: (), 2: ((32.0, 64.0),), 3: ((24.0, 40.0), (56.0, 72.0))}[num_regions]
    for number, (world_id, (low, high)) in enumerate(zip(chosen[1:], horizons, strict=True), start=2):
        sideways = number == num_regions and draws.chance(25)
        side: Side = draws.pick(("right", "left")) if sideways else "below"
        low, high = (34.0, 62.0) if sideways else (low, high)
        regions.append(_draw_region(draws, world_id, side, _draw_knots(draws, low, high)))
    return tuple(regions)


def _draw_knots(draws: Draws, low: float, high: float) -> tuple[float, ...]:
    """A border somewhere between `low` and `high`: tilted, and straight or wavy."""
    middle = draws.uniform(low, high)
    tilt = draws.uniform(-9.0, 9.0)
    amplitude = draws.uniform(2.0, 9.0) if draws.chance(60) else 0.0
    steps = [number / (NUM_KNOTS - 1) * 2 - 1 for number in range(NUM_KNOTS)]
    return tuple(middle + tilt * step + draws.uniform(-amplitude, amplitude) for step in steps)


def _draw_region(draws: Draws, world_id: int, side: Side, knots: tuple[float, ...]) -> Region:
    return Region(
        stuff=world_id - NUM_COMPOSITIONS,
        side=side,
        knots=knots,
        tile=draws.below(TILES_PER_STUFF),
        offset=(draws.below(TILE_SIZE), draws.below(TILE_SIZE)),
        mirrored=draws.chance(50),
        gain=_draw_gain(draws, 0.86, 1.12),
    )


def _draw_objects(draws: Draws, distribution: SceneDistribution, index: int) -> tuple[SceneObject, ...]:
    first = distribution.front[index % len(distribution.front)]
    num_objects = draws.pick_cumulative((1, 2, 3, 4, 5), tuple(accumulate(distribution.object_count_weights)))
    chosen = _distinct(draws, first, distribution.compositions, distribution.composition_weights, num_objects)
    objects: tuple[SceneObject, ...] = ()
    for world_id in reversed(chosen):  # the first one comes last, in front
        radius = _draw_radius(draws, distribution) * _COUNT_FACTOR[num_objects - 1]
        objects += (_moved(draws, _draw_object(draws, world_id, radius), objects),)
    return objects


def _draw_radius(draws: Draws, distribution: SceneDistribution) -> float:
    kind = draws.below(100)
    if kind < distribution.tiny_percent:
        return draws.uniform(5.5, 9.0)
    if kind < distribution.tiny_percent + distribution.large_percent:
        return draws.uniform(23.0, 34.0)
    return draws.uniform(13.0, 23.0)


def _draw_object(draws: Draws, world_id: int, radius: float) -> SceneObject:
    """In the middle of the image, until it is moved."""
    composition = COMPOSITIONS[world_id]
    share, shortest, longest = _PERIODS[composition.texture]
    gain = draws.uniform(0.86, 1.1)
    return SceneObject(
        composition=world_id,
        x=IMAGE_SIZE / 2,
        y=IMAGE_SIZE / 2,
        radius=radius,
        aspect=draws.uniform(0.9, 1.12),
        angle=draws.below(57) - 28,
        mirrored=draws.chance(50),
        first_colour=_jittered(draws, _COLOURS[composition.colour], gain),
        second_colour=_jittered(draws, _SECOND_COLOURS[composition.colour], gain),
        period=min(max(share * radius, shortest), longest) * draws.uniform(0.85, 1.2),
        pattern_angle=draws.below(180),
        pattern_phase=(draws.uniform(0.0, 1.0), draws.uniform(0.0, 1.0)),
    )


def _moved(draws: Draws, shown: SceneObject, behind: Sequence[SceneObject]) -> SceneObject:
    """At a random place: the best of a few tries at covering little of what is already there."""
    margin = min(0.75 * shown.radius, IMAGE_SIZE * 0.4)
    best, best_gap = shown, -1e9
    for _ in range(6):
        x, y = draws.uniform(margin, IMAGE_SIZE - margin), draws.uniform(margin, IMAGE_SIZE - margin)
        gap = min((_gap(x, y, shown.radius, other) for other in behind), default=0.0)
        if gap > best_gap:
            best, best_gap = replace(shown, x=x, y=y), gap
        if best_gap >= 0.0:
            break
    return best


def _gap(x: float, y: float, radius: float, other: SceneObject) -> float:
    """Above 0 where the inner three quarters of two objects stay apart; squared pixels, to do without a root."""
    reach = 0.75 * (radius + other.radius)
    return (x - other.x) * (x - other.x) + (y - other.y) * (y - other.y) - reach * reach


def _draw_light(draws: Draws) -> Light:
    return Light(
        gain=_draw_gain(draws, 0.9, 1.1),
        slope=(draws.uniform(-0.22, 0.22), draws.uniform(-0.22, 0.22)),
        noise=draws.uniform(0.0, 14.0),
    )


def _draw_gain(draws: Draws, low: float, high: float) -> Rgb:
    gain = draws.uniform(low, high)
    return gain * draws.uniform(0.96, 1.04), gain * draws.uniform(0.96, 1.04), gain * draws.uniform(0.96, 1.04)


def _jittered(draws: Draws, colour: Rgb, gain: float) -> Rgb:
    red, green, blue = (channel * gain + draws.uniform(-14.0, 14.0) for channel in colour)
    return red, green, blue


def _distinct(draws: Draws, first: int, items: Sequence[int], weights: Sequence[int], number: int) -> list[int]:
    """`first` and number - 1 others by weight, all different."""
    cumulative = tuple(accumulate(weights))
    chosen = [first]
    while len(chosen) < number:
        item = draws.pick_cumulative(items, cumulative)
        if item not in chosen:
            chosen.append(item)
    return chosen


def _stuff_name(world_id: int) -> str:
    return STUFF[world_id - NUM_COMPOSITIONS]
