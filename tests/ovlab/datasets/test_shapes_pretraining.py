import numpy as np

from ovlab.datasets.shapes_pretraining import captioned_close_up, captioned_scene, close_up
from ovlab.datasets.shapes_world import COLOURS, SEEN, SHAPES, UNSEEN_COMPOSITIONS


def test_close_up_same_arguments_same_picture() -> None:
    first, second, other = close_up(1, 2), close_up(1, 2), close_up(1, 3)

    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]
    assert (first[0] != other[0]).any()


def test_close_ups_show_seen_compositions_unless_asked() -> None:
    usual = [close_up(4, index)[1] for index in range(60)]
    unseen = [close_up(4, index, UNSEEN_COMPOSITIONS)[1] for index in range(60)]

    assert {c.world_id for c in usual} <= SEEN
    assert {c.world_id for c in unseen} <= set(UNSEEN_COMPOSITIONS)


def test_captioned_close_up_is_the_close_up_with_words() -> None:
    for index in range(20):
        image, text = captioned_close_up(4, index)
        picture, composition = close_up(4, index)

        np.testing.assert_array_equal(image, picture)
        named = [shape for shape in SHAPES if shape in text.split()]
        assert named in ([], [SHAPES[composition.shape]])


def test_captioned_scenes_never_name_a_held_out_pair() -> None:
    unseen = {f"{COLOURS[2 * s % 8]} {name}" for s, name in enumerate(SHAPES)}
    unseen |= {f"{COLOURS[(2 * s + 3) % 8]} {name}" for s, name in enumerate(SHAPES)}

    texts = [captioned_scene(9, index)[1] for index in range(150)]

    assert not any(pair in text for text in texts for pair in unseen)
