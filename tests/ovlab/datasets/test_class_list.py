"""classes.json: what it may say, and what is refused in one line."""

import json
import os
from pathlib import Path

import pytest

from ovlab.datasets.class_list import read_class_list
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Collapse

SAID = {
    "classes": ["sky", ["road", "street"], ["background", "wall", "tree"]],
    "ignore_index": 255,
    "seen": ["sky"],
    "background": "background",
}


def written(folder: Path, content: object) -> Path:
    path = folder / "classes.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_class_list_with_everything_said_is_a_label_space(tmp_path: Path) -> None:
    classes = read_class_list(written(tmp_path, SAID))

    first, average = classes.label_space("first"), classes.label_space("average")

    assert classes.names == first.scored == ("sky", "road", "background")
    assert first.asked == (("sky",), ("road",), ("wall",), ("tree",))
    assert average.asked == (("sky",), ("road", "street"), ("wall",), ("tree",))
    assert classes.label_space("joined").asked == (("sky",), ("road, street",), ("wall",), ("tree",))
    assert first.seen.tolist() == [True, False, False]
    assert first.collapse == Collapse(background=2)


def test_class_list_of_which_none_is_seen_has_unseen_classes_only(tmp_path: Path) -> None:
    space = read_class_list(written(tmp_path, {"classes": ["sky", "road"], "seen": []})).label_space("first")

    assert space.seen.tolist() == [False, False]


def test_class_list_synonyms_move_the_label_space_only_where_they_are_asked_for(tmp_path: Path) -> None:
    plain, more = (
        read_class_list(written(tmp_path, names)) for names in (["sky", "road"], ["sky", ["road", "street"]])
    )

    assert plain.label_space("first").digest == more.label_space("first").digest
    assert plain.label_space("average").digest != more.label_space("average").digest


def test_class_list_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(SAID), encoding="utf-8-sig")

    assert read_class_list(path).names[0] == "sky"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": "sky"}, "no class names; write"),
        ({"classes": ["sky", []]}, r"class 1 is \[\]; every class needs a name, or a list of names"),
        ({"classes": ["sky", ["road", 7]]}, r"class 1 is \[\"road\", 7\]"),
        ({"classes": [["sky", " "]]}, "class 0 is"),
        ({"classes": [{"name": "sky"}]}, "class 0 is"),
        ({"classes": ["sky", ["road", "sky"]]}, "'sky' is there 2 times"),
        ({"classes": ["sky", "tree", "Tree"]}, "class names 'tree' and 'Tree' are one text to CLIP; keep one"),
        ({"classes": ["sky", ["road", "SKY "]]}, "class names 'sky' and 'SKY ' are one text to CLIP"),
        ({"classes": ["sky", "&nbsp;"]}, "class 1 is "),
        ({"seen": "sky"}, 'seen must be a list of class names, such as .*, got "sky"'),
        ({"seen": [0]}, "seen must hold the name of a class, got 0"),
        ({"seen": ["skies"]}, "seen: no class 'skies'. Did you mean 'sky'"),
        ({"seen": ["street"]}, "seen: no class 'street'"),
        ({"background": 2}, "background must hold the name of a class, got 2"),
        ({"background": "else"}, "background: no class 'else'"),
        ({"background": "sky"}, "background 'sky' must be the last of the classes, which is 'background'"),
        ({"classes": ["sky", "background"]}, r"no words to ask for.*\[\"background\", \"wall\""),
    ],
)
def test_class_list_that_says_what_cannot_be_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    path = written(tmp_path, {**SAID, **change})

    with pytest.raises(InputError, match=words) as raised:
        read_class_list(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_class_list_with_a_key_like_one_that_it_knows_is_refused_and_any_other_left_alone(tmp_path: Path) -> None:
    assert read_class_list(written(tmp_path, {"classes": ["sky"], "licence": "mine"})).names == ("sky",)

    for key, meant in (("sen", "seen"), ("ignore", "ignore_index")):
        with pytest.raises(InputError, match=rf"no key '{key}'\. The nearest is '{meant}'\."):
            read_class_list(written(tmp_path, {"classes": ["sky"], key: ["sky"]}))


def test_class_list_that_is_a_pipe_or_a_folder_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InputError, match=r"a folder, a pipe or a device, where a file must be"):
            read_class_list(path)
