import numpy as np

from logoseg.clip.tokenizer import known_words
from ovlab.shapes.close_ups import captioned_scene, close_up
from ovlab.shapes.world import SEEN, SHAPES, UNSEEN_COMPOSITIONS


def test_close_up_same_arguments_same_picture() -> None:
    first, second, other = close_up(1, 2), close_up(1, 2), close_up(1, 3)

    np.testing.assert_array_equal(first.image, second.image)
    assert first[1:] == second[1:]
    assert (first.image != other.image).any()


def test_close_ups_show_any_composition_unless_asked() -> None:
    usual = {close_up(4, index).composition.world_id for index in range(60)}
    unseen = {close_up(4, index, UNSEEN_COMPOSITIONS).composition.world_id for index in range(60)}

    assert usual & SEEN
    assert usual & set(UNSEEN_COMPOSITIONS)
    assert unseen <= set(UNSEEN_COMPOSITIONS)


def test_caption_of_a_close_up_names_no_other_shape() -> None:
    for index in range(20):
        shown = close_up(4, index)

        named = [shape for shape in SHAPES if shape in shown.caption.split()]
        assert named in ([], [SHAPES[shown.composition.shape]])


def test_captioned_scenes_same_arguments_same_picture_and_words() -> None:
    first, second = captioned_scene(9, 4), captioned_scene(9, 4)

    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_captioned_scenes_use_the_words_of_the_tokenizer_only() -> None:
    words = {word for index in range(60) for word in captioned_scene(9, index)[1].replace(",", " ").split()}

    assert words <= set(known_words("shapes-words"))
