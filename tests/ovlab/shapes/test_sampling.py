from collections import Counter
from dataclasses import replace

import pytest

from ovlab.shapes.sampling import SceneDistribution, draw_close_up, draw_scene, uniform_distribution
from ovlab.shapes.scene import IMAGE_SIZE, Scene
from ovlab.shapes.world import NUM_COMPOSITIONS, STUFF, STUFF_IDS


@pytest.fixture(scope="module")
def distribution() -> SceneDistribution:
    return uniform_distribution(range(NUM_COMPOSITIONS), STUFF_IDS)


@pytest.fixture(scope="module")
def scenes(distribution: SceneDistribution) -> list[Scene]:
    return [draw_scene(distribution, 5, index) for index in range(600)]


def test_draw_scene_same_arguments_same_scene(distribution: SceneDistribution) -> None:
    assert draw_scene(distribution, 5, 17) == draw_scene(distribution, 5, 17)
    assert draw_scene(distribution, 5, 17) != draw_scene(distribution, 6, 17)


def test_scenes_hold_one_to_five_objects_and_one_to_three_regions(scenes: list[Scene]) -> None:
    assert set(Counter(len(scene.objects) for scene in scenes)) == {1, 2, 3, 4, 5}
    assert set(Counter(len(scene.regions) for scene in scenes)) == {1, 2, 3}


def test_scenes_name_nothing_twice(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert len({o.composition for o in scene.objects}) == len(scene.objects)
        assert len({r.stuff for r in scene.regions}) == len(scene.regions)


def test_every_composition_comes_round_in_front(scenes: list[Scene], distribution: SceneDistribution) -> None:
    assert {scene.objects[-1].composition for scene in scenes[:NUM_COMPOSITIONS]} == set(distribution.compositions)


def test_every_stuff_comes_round(scenes: list[Scene], distribution: SceneDistribution) -> None:
    for index, scene in enumerate(scenes):
        assert distribution.stuff[index % 20] - NUM_COMPOSITIONS in {region.stuff for region in scene.regions}


def test_sky_is_never_below_anything(scenes: list[Scene]) -> None:
    sky = STUFF.index("sky")

    assert any(scene.regions[0].stuff == sky for scene in scenes)
    assert all(region.stuff != sky for scene in scenes for region in scene.regions[1:])


def test_objects_are_tiny_to_large_and_mostly_of_decent_size(scenes: list[Scene]) -> None:
    radii = [o.radius for scene in scenes for o in scene.objects]

    assert min(radii) < 6
    assert max(radii) > 34
    assert sum(radius >= 10 for radius in radii) > 0.75 * len(radii)


def test_objects_have_their_centre_in_the_image(scenes: list[Scene]) -> None:
    assert all(0 < o.x < IMAGE_SIZE and 0 < o.y < IMAGE_SIZE for scene in scenes for o in scene.objects)


def test_weights_make_some_compositions_frequent(distribution: SceneDistribution) -> None:
    weights = tuple(1000 if i == distribution.compositions[0] else 1 for i in distribution.compositions)
    skewed = replace(distribution, composition_weights=weights)

    scenes = [draw_scene(skewed, 1, index) for index in range(1, 101)]

    several = [scene for scene in scenes if len(scene.objects) > 1]
    frequent = [s for s in several if distribution.compositions[0] in {o.composition for o in s.objects}]
    assert len(frequent) > 0.6 * len(several)


def test_distribution_with_too_little_to_show_is_refused(distribution: SceneDistribution) -> None:
    with pytest.raises(ValueError, match="at least 5 compositions"):
        uniform_distribution((1, 2, 3), STUFF_IDS)
    with pytest.raises(ValueError, match="one weight for each"):
        replace(distribution, stuff_weights=(1,))
    with pytest.raises(ValueError, match="in front"):
        replace(distribution, front=())


def test_close_up_shows_one_large_object_near_the_middle() -> None:
    scenes = [draw_close_up((3, 77), STUFF_IDS, 2, index) for index in range(50)]

    assert {scene.objects[0].composition for scene in scenes} == {3, 77}
    assert all(len(scene.objects) == len(scene.regions) == 1 for scene in scenes)
    assert all(scene.objects[0].radius >= 24 for scene in scenes)
    assert all(abs(scene.objects[0].x - IMAGE_SIZE / 2) <= 8 for scene in scenes)
