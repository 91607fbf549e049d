from collections import Counter

from ovlab.shapes.world import (
    COLOURS,
    COMPOSITIONS,
    NUM_COMPOSITIONS,
    NUM_WORLD_IDS,
    SEEN,
    SEEN_COMPOSITIONS,
    SEEN_STUFF,
    SHAPES,
    STUFF,
    STUFF_IDS,
    TEXTURES,
    UNSEEN_COMPOSITIONS,
    colour_shape_name,
    texture_shape_name,
    world_name,
)


def test_world_ids_count_compositions_then_stuff() -> None:
    assert [c.world_id for c in COMPOSITIONS] == list(range(8 * 4 * 12))
    assert tuple(range(384, 404)) == STUFF_IDS
    assert (NUM_COMPOSITIONS, NUM_WORLD_IDS) == (384, 404)


def test_seen_and_unseen_are_disjoint_and_complete() -> None:
    assert sorted(SEEN_COMPOSITIONS + UNSEEN_COMPOSITIONS) == list(range(NUM_COMPOSITIONS))
    assert len(set(STUFF_IDS) - set(SEEN_STUFF)) == len(STUFF_IDS) - len(SEEN_STUFF) == 5
    assert set(SEEN_COMPOSITIONS + SEEN_STUFF) == SEEN


def test_seen_compositions_hold_every_attribute_in_equal_measure() -> None:
    seen = [COMPOSITIONS[i] for i in SEEN_COMPOSITIONS]

    colours, textures = Counter(c.colour for c in seen), Counter(c.texture for c in seen)
    shapes = Counter(c.shape for c in seen)

    assert len(colours) == len(COLOURS)
    assert max(colours.values()) <= 1.2 * min(colours.values())
    assert set(textures.values()) == {len(seen) // len(TEXTURES)}
    # A shape misses two colours, and eight of the shapes miss a texture as well: 6 x 4 or 6 x 3.
    assert Counter(shapes.values()) == {24: 4, 18: 8}
    assert len(shapes) == len(SHAPES)


def test_held_out_pairs_have_no_seen_composition() -> None:
    seen_colour_shapes = {(COMPOSITIONS[i].colour, COMPOSITIONS[i].shape) for i in SEEN_COMPOSITIONS}
    seen_texture_shapes = {(COMPOSITIONS[i].texture, COMPOSITIONS[i].shape) for i in SEEN_COMPOSITIONS}

    assert len(seen_colour_shapes) == 96 - 24
    assert len(seen_texture_shapes) == 48 - 8


def test_names_say_colour_texture_shape() -> None:
    star = next(c for c in COMPOSITIONS if c.name == "red striped star")

    assert world_name(star.world_id) == "red striped star"
    assert colour_shape_name(star.world_id) == "red star"
    assert texture_shape_name(star.world_id) == "striped star"
    assert world_name(384) == colour_shape_name(384) == texture_shape_name(384) == "sky"
    assert len({world_name(i) for i in range(NUM_WORLD_IDS)}) == NUM_WORLD_IDS


def test_words_are_single_and_mean_one_thing() -> None:
    words = (*COLOURS, *TEXTURES, *SHAPES, *STUFF)

    assert len(set(words)) == len(words)
    assert all(word.isalpha() and word.islower() for word in words)
