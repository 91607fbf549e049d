import re
from string import Formatter

import numpy as np
import pytest

from logoseg.clip.tokenizer import known_words
from ovlab.shapes.captions import (
    FORMS,
    MIN_OBJECT_PIXELS,
    MIN_STUFF_PIXELS,
    RELATIONS,
    SIZES,
    caption,
    with_article,
)
from ovlab.shapes.render import Rendering, render
from ovlab.shapes.sampling import draw_scene, uniform_distribution
from ovlab.shapes.scene import Scene, SceneObject
from ovlab.shapes.world import (
    COLOURS,
    COMPOSITIONS,
    NUM_COMPOSITIONS,
    NUM_WORLD_IDS,
    SHAPES,
    STUFF,
    STUFF_IDS,
    TEXTURES,
)

ATTRIBUTES = "|".join(COLOURS), "|".join(TEXTURES), "|".join(SHAPES)
NOUN = re.compile(r"\b(?:({}) )?(?:({}) )?({})\b".format(*ATTRIBUTES))
Captioned = list[tuple[Scene, Rendering, str]]


@pytest.fixture(scope="module")
def captioned() -> Captioned:
    distribution = uniform_distribution(range(NUM_COMPOSITIONS), STUFF_IDS)
    scenes = [draw_scene(distribution, 21, index) for index in range(300)]
    renderings = [render(scene) for scene in scenes]
    return [(scene, rendering, caption(scene, rendering)) for scene, rendering in zip(scenes, renderings, strict=True)]


def fits(shown: SceneObject, noun: tuple[str, ...]) -> bool:
    """Whether the object has every attribute that the noun names."""
    composition = COMPOSITIONS[shown.composition]
    own = COLOURS[composition.colour], TEXTURES[composition.texture], SHAPES[composition.shape]
    return all(said in ("", has) for said, has in zip(noun, own, strict=True))


def test_captions_name_only_objects_in_the_scene(captioned: Captioned) -> None:
    for scene, rendering, text in captioned:
        counts = np.bincount(rendering.surface.ravel(), minlength=NUM_WORLD_IDS)
        visible = [o for o in scene.objects if counts[o.composition] >= MIN_OBJECT_PIXELS]
        for noun in NOUN.findall(text):
            assert any(fits(o, noun) for o in visible), text


def test_captions_name_only_stuff_in_the_scene(captioned: Captioned) -> None:
    for _, rendering, text in captioned:
        counts = np.bincount(rendering.surface.ravel(), minlength=NUM_WORLD_IDS)
        for word in set(re.findall(r"\w+", text)) & set(STUFF):
            assert counts[NUM_COMPOSITIONS + STUFF.index(word)] >= MIN_STUFF_PIXELS, text


def test_captions_of_two_objects_state_a_true_relation(captioned: Captioned) -> None:
    holds = {
        "left of": lambda a, b: a.x < b.x,
        "right of": lambda a, b: a.x > b.x,
        "above": lambda a, b: a.y < b.y,
        "below": lambda a, b: a.y > b.y,
    }
    checked = 0
    for scene, _, text in captioned:
        for relation, true in holds.items():
            if relation in text:
                one, other = NOUN.findall(text)
                pairs = [(a, b) for a in scene.objects for b in scene.objects if a is not b]
                assert any(fits(a, one) and fits(b, other) and true(a, b) for a, b in pairs), text
                checked += 1
    assert checked >= 5


def test_captions_come_in_many_forms_and_leave_attributes_out(captioned: Captioned) -> None:
    texts = [text for _, _, text in captioned]
    forms = {re.sub(r"\b(" + "|".join(STUFF) + r")\b", "STUFF", NOUN.sub("NOUN", text)) for text in texts}
    details = {tuple(bool(part) for part in noun) for text in texts for noun in NOUN.findall(text)}

    assert len(forms) >= 25
    assert details == {(True, True, True), (True, False, True), (False, True, True), (False, False, True)}


def test_captions_hold_only_known_words(captioned: Captioned) -> None:
    spoken = {word for _, _, text in captioned for word in re.findall(r"\w+", text)}

    assert spoken <= set(known_words("shapes-words"))
    assert {*COLOURS, *TEXTURES, *SHAPES, *STUFF} <= spoken


def test_tokenizer_words_are_those_of_the_captions() -> None:
    fixed = " ".join(literal for form in FORMS for literal, _, _, _ in Formatter().parse(form)).replace(",", " ")
    words = {*fixed.split(), *" ".join(RELATIONS).split(), *SIZES, "a", "an", *COLOURS, *TEXTURES, *SHAPES, *STUFF}

    assert known_words("shapes-words") == tuple(sorted(words))
    assert len(words) < 80


def test_caption_same_scene_same_words(captioned: Captioned) -> None:
    for scene, rendering, text in captioned[:10]:
        assert caption(scene, rendering) == text


@pytest.mark.parametrize(("noun", "expected"), [("red star", "a red star"), ("orange moon", "an orange moon")])
def test_with_article_follows_the_first_letter(noun: str, expected: str) -> None:
    assert with_article(noun) == expected
