from collections import Counter

import numpy as np
import pytest

from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.shapes.dataset import open_shapes
from ovlab.shapes.render import render
from ovlab.shapes.sampling import draw_scene
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, shapes_benchmark
from ovlab.shapes.world import (
    COLOURS,
    NUM_COMPOSITIONS,
    NUM_WORLD_IDS,
    SEEN,
    SHAPES,
    STUFF,
    TEXTURES,
    colour_shape_name,
    world_name,
)

BENCHMARKS = ("shapes-a-847", "shapes-pc-459", "shapes-a-150", "shapes-pc-59", "shapes-pas-20", "shapes-pas-20b")
TRAINING = ("shapes-coco", "shapes-pc-59", "shapes-a-150")


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    """For each benchmark, the number of pixels of every world id in every image of val, or of as many as show every
    class of a small vocabulary."""
    found = {}
    for name in BENCHMARKS[:-1]:
        split = shapes_benchmark(name).splits["val"]
        num_images = split.num_samples if name in ("shapes-a-847", "shapes-pc-459") else 120
        scenes = (draw_scene(split.distribution, split.seed, index) for index in range(num_images))
        found[name] = np.array([np.bincount(render(s).surface.ravel(), minlength=NUM_WORLD_IDS) for s in scenes])
    return found


def images_of_each_label(name: str, pixels: dict[str, np.ndarray]) -> np.ndarray:
    """In how many images of val each label occurs."""
    benchmark = shapes_benchmark(name)
    labels = range(len(benchmark.class_names))
    return np.array([(pixels[name][:, benchmark.label_of == label].sum(axis=1) > 0).sum() for label in labels])


def test_names_are_those_of_the_suite() -> None:
    assert ("shapes-coco", *BENCHMARKS) == SHAPES_NAMES


@pytest.mark.parametrize("name", SHAPES_NAMES)
def test_labels_are_in_range_and_names_distinct(name: str) -> None:
    benchmark = shapes_benchmark(name)

    known = benchmark.label_of[benchmark.label_of != IGNORE_INDEX]
    assert set(known.tolist()) == set(range(len(benchmark.class_names)))
    assert len(set(benchmark.asked)) == len(benchmark.asked)
    assert len(benchmark.seen) == len(benchmark.class_names)


@pytest.mark.parametrize("name", SHAPES_NAMES)
def test_label_name_holds_only_words_of_the_thing(name: str) -> None:
    benchmark = shapes_benchmark(name)

    for world_id, label in enumerate(benchmark.label_of):
        if label not in (IGNORE_INDEX, benchmark.background_index):
            words = benchmark.class_names[label].split()
            assert set(words) <= set(world_name(world_id).split())
            assert benchmark.asked[label] == benchmark.class_names[label]


@pytest.mark.parametrize("name", SHAPES_NAMES)
def test_class_is_seen_when_any_of_its_things_is(name: str) -> None:
    benchmark = shapes_benchmark(name)

    for label, seen in enumerate(benchmark.seen):
        assert seen == any(world_id in SEEN for world_id in np.flatnonzero(benchmark.label_of == label))


@pytest.mark.parametrize("name", TRAINING)
def test_training_scenes_hold_nothing_unseen(name: str) -> None:
    split = shapes_benchmark(name).splits["train"]

    assert set(split.distribution.front + split.distribution.compositions + split.distribution.stuff) <= SEEN
    shown: Counter[int] = Counter()
    for index in range(300):
        scene = draw_scene(split.distribution, split.seed, index)
        shown.update(o.composition for o in scene.objects)
        shown.update(NUM_COMPOSITIONS + r.stuff for r in scene.regions)
    assert set(shown) <= SEEN
    words = {word for world_id in shown for word in world_name(world_id).split()}
    assert {*COLOURS, *TEXTURES, *SHAPES} <= words


@pytest.mark.parametrize("name", TRAINING)
def test_training_labels_hold_seen_classes_only(name: str) -> None:
    dataset = open_shapes(name, "train", num_samples=50)

    labels = np.unique([dataset[index].label for index in range(50)])

    assert labels[labels != IGNORE_INDEX].max() < len(dataset.class_names)


def test_training_and_val_scenes_differ() -> None:
    for name in TRAINING:
        assert (open_shapes(name, "train")[0].image != open_shapes(name, "val")[0].image).any()


def test_coco_names_every_seen_thing() -> None:
    assert set(shapes_benchmark("shapes-coco").asked) == {world_name(i) for i in SEEN}


def test_a_847_has_every_thing_and_most_are_rare(pixels: dict[str, np.ndarray]) -> None:
    images = images_of_each_label("shapes-a-847", pixels)

    assert len(images) == NUM_WORLD_IDS
    assert images.min() >= 1
    assert np.median(images) <= 3
    assert images.max() > 20 * np.median(images)


def test_pc_459_a_quarter_of_the_classes_never_occurs(pixels: dict[str, np.ndarray]) -> None:
    benchmark = shapes_benchmark("shapes-pc-459")

    absent = images_of_each_label("shapes-pc-459", pixels) == 0

    assert len(absent) == 6 * 32 + 6 * 8 + 20
    assert absent.mean() == pytest.approx(0.25, abs=0.005)
    for kind in (True, False):
        assert absent[np.array(benchmark.seen) == kind].mean() == pytest.approx(0.25, abs=0.01)
    assert len(benchmark.asked[np.flatnonzero(~absent)[0]].split()) in (1, 2, 3)


def test_pc_459_mixes_fine_and_coarse_names() -> None:
    lengths = Counter(len(name.split()) for name in shapes_benchmark("shapes-pc-459").asked)

    assert lengths == {3: 6 * 32, 2: 6 * 8, 1: 20}


def test_a_150_classes_are_few_and_equally_frequent(pixels: dict[str, np.ndarray]) -> None:
    images = images_of_each_label("shapes-a-150", pixels)
    objects = np.array([name not in STUFF for name in shapes_benchmark("shapes-a-150").asked])

    assert len(images) == 96 + 20
    # Chance alone: in 120 images, 3.6 each with a standard deviation of 1.9.
    assert (images[objects] > 0).mean() > 0.9
    assert images[objects].max() <= 12
    assert images[~objects].min() >= 5


def test_pc_59_is_small_and_ignores_some_stuff(pixels: dict[str, np.ndarray]) -> None:
    benchmark = shapes_benchmark("shapes-pc-59")
    images = images_of_each_label("shapes-pc-59", pixels)
    ignored = pixels["shapes-pc-59"][:, benchmark.label_of == IGNORE_INDEX].sum() / pixels["shapes-pc-59"].sum()

    assert len(images) == 59
    assert images.min() >= 1
    assert 0.05 < ignored < 0.35
    assert Counter(name in STUFF for name in benchmark.asked) == {False: 48, True: 11}


def test_pas_20_objects_are_balanced_and_all_else_is_ignored(pixels: dict[str, np.ndarray]) -> None:
    benchmark = shapes_benchmark("shapes-pas-20")
    images = images_of_each_label("shapes-pas-20", pixels)
    pairs = [name.split() for name in benchmark.asked]

    assert len(images) == 20
    assert images.min() >= 3
    assert set(Counter(colour for colour, _ in pairs).values()) <= {2, 3}
    assert set(Counter(shape for _, shape in pairs).values()) <= {1, 2}
    assert sum(benchmark.seen) == 15
    assert (benchmark.label_of[NUM_COMPOSITIONS:] == IGNORE_INDEX).all()
    # Every picture holds at least one of the twenty.
    assert (pixels["shapes-pas-20"][:, benchmark.label_of != IGNORE_INDEX].sum(axis=1) > 0).all()


def test_pas_20b_gathers_background_from_the_other_names(pixels: dict[str, np.ndarray]) -> None:
    objects, gathered = shapes_benchmark("shapes-pas-20"), shapes_benchmark("shapes-pas-20b")

    assert gathered.splits == objects.splits
    assert len(gathered.asked) == 59
    assert gathered.asked[:20] == objects.asked
    assert gathered.class_names == (*objects.class_names, "background")
    assert gathered.background_index == 20
    ignored = objects.label_of == IGNORE_INDEX
    assert (gathered.label_of[ignored] == 20).all()
    np.testing.assert_array_equal(gathered.label_of[~ignored], objects.label_of[~ignored])
    # Everything that a picture shows can be named by a prompt.
    shown = np.flatnonzero(pixels["shapes-pas-20"].sum(axis=0))
    assert {colour_shape_name(int(i)) for i in shown} <= set(gathered.asked)
