from dataclasses import replace

import numpy as np
import pytest

from ovlab.shapes.noise import TILE_SIZE
from ovlab.shapes.render import Rendering, render
from ovlab.shapes.sampling import draw_scene, uniform_distribution
from ovlab.shapes.scene import IMAGE_SIZE, NUM_KNOTS, Light, Region, Scene, SceneObject, Side
from ovlab.shapes.textures import stuff_tile
from ovlab.shapes.world import COMPOSITIONS, NUM_COMPOSITIONS, STUFF, STUFF_IDS

RED, PALE = (200.0, 20.0, 40.0), (240.0, 230.0, 220.0)
FLAT = Light(relief=0.0)
PIXEL_Y, PIXEL_X = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] + 0.5


def region(stuff: int = 1, side: Side = "all", knots: tuple[float, ...] = (), mirrored: bool = False) -> Region:
    offset, gain = (5, 170), (1.0, 1.0, 1.0)
    return Region(stuff=stuff, side=side, knots=knots, tile=2, offset=offset, mirrored=mirrored, gain=gain)


def thing(name: str, *, x: float = 48.3, y: float = 47.1, radius: float = 20.0, angle: int = 0) -> SceneObject:
    return SceneObject(
        composition=next(c.world_id for c in COMPOSITIONS if c.name == name),
        x=x,
        y=y,
        radius=radius,
        aspect=1.0,
        angle=angle,
        mirrored=False,
        first_colour=RED,
        second_colour=PALE,
        period=10.0,
        pattern_angle=0,
        pattern_phase=(0.3, 0.6),
    )


def scene(*objects: SceneObject, regions: tuple[Region, ...] = (), light: Light = FLAT) -> Scene:
    return Scene(regions=regions or (region(),), objects=objects, light=light, seed=3, index=4)


def inner(mask: np.ndarray) -> np.ndarray:
    """The pixels of the mask whose eight neighbours belong to it too."""
    padded = np.pad(mask, 1)
    return np.all([padded[r : r + IMAGE_SIZE, c : c + IMAGE_SIZE] for r in range(3) for c in range(3)], axis=0)


def of(rendering: Rendering, shown: SceneObject) -> np.ndarray:
    return rendering.surface == shown.composition


def test_circle_labels_are_the_pixel_centres_inside_it() -> None:
    shown = thing("red plain circle")

    mask = of(render(scene(shown)), shown)

    radius = np.hypot(PIXEL_X - 48.3, PIXEL_Y - 47.1)
    clear = np.abs(radius - 0.88 * 20) > 0.05  # the outline is a polygon, a hundredth of a pixel off a true circle
    np.testing.assert_array_equal(mask[clear], (radius < 0.88 * 20)[clear])


def test_square_labels_turn_with_the_angle() -> None:
    shown = thing("red plain square", angle=20)

    mask = of(render(scene(shown)), shown)

    turn = np.radians(20)
    dx, dy = PIXEL_X - 48.3, PIXEL_Y - 47.1
    u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    side = np.maximum(np.abs(u), np.abs(v))
    clear = np.abs(side - 0.82 * 20) > 0.15  # corners are read from the atlas, which rounds them a little
    np.testing.assert_array_equal(mask[clear], (side < 0.82 * 20)[clear])


def test_mirrored_arrow_points_the_other_way() -> None:
    shown = replace(thing("red plain arrow"), x=48.0, y=48.0)

    right = of(render(scene(shown)), shown)
    left = of(render(scene(replace(shown, mirrored=True))), shown)

    np.testing.assert_array_equal(left, right[:, ::-1])
    assert (left != right).any()


def test_aspect_widens_and_flattens() -> None:
    shown = replace(thing("red plain square"), aspect=1.25)

    mask = of(render(scene(shown)), shown)

    assert mask.any(axis=0).sum() == pytest.approx(2 * 0.82 * 20 * 1.25, abs=1)
    assert mask.any(axis=1).sum() == pytest.approx(2 * 0.82 * 20 / 1.25, abs=1)


def test_pixels_of_a_plain_object_have_its_colour() -> None:
    shown = thing("red plain star", angle=-13)

    rendering = render(scene(shown))

    assert (rendering.image[inner(of(rendering, shown))] == np.array(RED)).all()


@pytest.mark.parametrize("name", ["red striped square", "red dotted heart", "red checked ring"])
def test_pixels_of_a_patterned_object_mix_its_two_colours(name: str) -> None:
    shown = thing(name, radius=30.0)

    rendering = render(scene(shown))

    inside = rendering.image[inner(of(rendering, shown))].astype(float)
    first, second = np.array(RED), np.array(PALE)
    weight = (inside - first) @ (second - first) / ((second - first) @ (second - first))
    np.testing.assert_allclose(inside, first + weight[:, None] * (second - first), atol=1)
    assert (weight < 0.02).mean() > 0.2
    assert (weight > 0.98).mean() > 0.1


@pytest.mark.parametrize(
    ("texture", "expected"), [("plain", 0.0), ("striped", 0.46), ("dotted", np.pi * 0.31**2), ("checked", 0.5)]
)
def test_pattern_covers_its_share_with_the_second_colour(texture: str, expected: float) -> None:
    shown = replace(thing(f"red {texture} square", radius=55.0), period=8.0)

    rendering = render(scene(shown))

    inside = rendering.image[inner(of(rendering, shown))][:, 1].astype(float)
    assert ((inside - RED[1]) / (PALE[1] - RED[1])).mean() == pytest.approx(expected, abs=0.03)


def test_stripes_run_along_one_direction() -> None:
    rendering = render(scene(thing("red striped square")))

    rows = rendering.image[35:60, 35:60].astype(int)
    assert (rows == rows[0]).all()
    assert (rows[0].std(axis=0) > 10).all()


def test_front_object_hides_the_one_behind() -> None:
    behind, front = thing("red plain circle"), thing("blue plain square", x=55.0)

    rendering = render(scene(behind, front))

    alone = render(scene(front))
    np.testing.assert_array_equal(of(rendering, front), of(alone, front))
    assert of(rendering, behind).any()


def test_relief_and_light_do_not_move_a_label() -> None:
    objects = (thing("red plain circle"), thing("blue dotted moon", x=60.0))
    bright = Light(gain=(1.1, 0.9, 1.0), slope=(0.2, -0.1), noise=14.0, relief=1.0)

    np.testing.assert_array_equal(render(scene(*objects)).surface, render(scene(*objects, light=bright)).surface)


@pytest.mark.parametrize("mirrored", [False, True])
def test_stuff_is_a_crop_of_its_tile(mirrored: bool) -> None:
    rendering = render(scene(regions=(region(7, mirrored=mirrored),)))

    tile = stuff_tile(7, 2)
    crop = np.roll(tile, (-5, -170), axis=(0, 1))[:IMAGE_SIZE, :IMAGE_SIZE]
    mirror = np.roll(tile[:, ::-1], (-5, -170), axis=(0, 1))[:IMAGE_SIZE, :IMAGE_SIZE]
    np.testing.assert_array_equal(rendering.image, mirror if mirrored else crop)
    assert (rendering.surface == NUM_COMPOSITIONS + 7).all()
    assert TILE_SIZE > 170


@pytest.mark.parametrize(
    ("side", "expected"),
    [("below", PIXEL_Y > 40.2), ("right", PIXEL_X > 40.2), ("left", PIXEL_X < 40.2), ("all", PIXEL_X > 0)],
)
def test_region_lies_on_its_side_of_the_border(side: Side, expected: np.ndarray) -> None:
    rendering = render(scene(regions=(region(0), region(4, side, (40.2,) * NUM_KNOTS))))

    np.testing.assert_array_equal(rendering.surface == NUM_COMPOSITIONS + 4, expected)


def test_tilted_border_is_a_straight_line() -> None:
    knots = tuple(30.1 + 0.25 * 16 * (number - 1) for number in range(NUM_KNOTS))

    rendering = render(scene(regions=(region(0), region(4, "below", knots))))

    np.testing.assert_array_equal(rendering.surface == NUM_COMPOSITIONS + 4, PIXEL_Y > 30.1 + 0.25 * PIXEL_X)


def test_ground_is_the_surface_without_objects() -> None:
    regions = (region(0), region(4, "below", (50.0,) * NUM_KNOTS))

    with_object = render(scene(thing("red plain heart"), regions=regions))

    np.testing.assert_array_equal(with_object.ground, render(scene(regions=regions)).surface)


def test_light_scales_each_channel_across_the_image() -> None:
    light = Light(gain=(1.1, 0.8, 1.0), slope=(0.3, -0.2))

    image = render(scene(light=light)).image

    factor = 1 + 0.3 * (PIXEL_X / IMAGE_SIZE - 0.5) - 0.2 * (PIXEL_Y / IMAGE_SIZE - 0.5)
    plain = render(scene()).image.astype(float)
    expected = np.floor(np.clip(plain * np.array([1.1, 0.8, 1.0]) * factor[..., None], 0, 255) + 0.5)
    assert np.abs(image - expected).max() <= 1  # the reference adds in another order
    assert (image == expected).mean() > 0.999


def test_noise_is_small_centred_and_its_own_for_each_scene() -> None:
    noisy = scene(light=Light(noise=10.0))

    change = render(noisy).image.astype(int) - render(scene()).image
    other = render(replace(noisy, index=5)).image

    assert np.abs(change).max() <= 10
    assert abs(change.mean()) < 0.3
    assert change.std() == pytest.approx(10 / np.sqrt(6), rel=0.1)  # a triangle of half-width 10
    assert (other != render(noisy).image).any()


def test_random_scenes_hold_labels_of_their_own_things_only() -> None:
    distribution = uniform_distribution(range(NUM_COMPOSITIONS), STUFF_IDS)

    for index in range(60):
        drawn = draw_scene(distribution, 8, index)
        allowed = {o.composition for o in drawn.objects} | {NUM_COMPOSITIONS + r.stuff for r in drawn.regions}
        surface = set(np.unique(render(drawn).surface).tolist())
        assert surface <= allowed
        assert drawn.objects[-1].composition in surface
    assert len(STUFF) == len(STUFF_IDS)
