"""classes.json of a folder: the names of its classes, and what else a person may say about them.

["sky", "road"]    or, where there is more to say,

{
  "classes": ["sky", ["road", "street"], ["background", "wall", "tree"]],
  "ignore_index": 255,
  "seen": ["sky", "road"],
  "background": "background"
}

Class n is classes[n]: its name, or a list of its name and other words for it. ignore_index is the label value that
means "ignore this pixel"; without one it is the largest of the label file, 255 or 65535. seen: the classes that
training has named; the others are unseen, and both are scored apart. background: the last class, for whatever is none
of the others; each of its other words is asked for on its own, its name is not, and any of them is scored as
background.
"""

import difflib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.picture_file import file_bytes
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.texts import alike, pieces
from ovlab.datasets.vocabulary import by_rule, unknown_name
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Collapse, SynonymRule
from ovlab.specs.wording import is_unicode

_KEYS = ("classes", "ignore_index", "seen", "background")
_EXAMPLE = '{"classes": ["sky", ["road", "street"]], "ignore_index": 255}'


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassList:
    """words: of each class, its name first. seen: the names of those that training has named; None where nothing is
    said of it. has_background: whether the last class is one."""

    words: tuple[tuple[str, ...], ...]
    ignore_index: int | None = None
    seen: frozenset[str] | None = None
    has_background: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(words[0] for words in self.words)

    @property
    def is_plain(self) -> bool:
        """Whether it says no more than names."""
        return self.seen is None and all(len(words) == 1 for words in self.words)

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        asked = tuple(by_rule(words, synonyms) for words in self.words)
        if self.has_background:
            asked = (*asked[:-1], *((word,) for word in self.words[-1][1:]))
        return LabelSpace(
            asked=asked,
            scored=self.names,
            seen=None if self.seen is None else np.array([name in self.seen for name in self.names]),
            collapse=Collapse(background=len(self.words) - 1) if self.has_background else None,
        )


def read_class_list(path: Path) -> ClassList:
    """Read classes.json. Keys that it does not know are left alone, unless they look like one that it does.

    Raises InputError for a file that is missing or no JSON, for words that are empty, no text, there twice or one to
    CLIP, for an ignore index that no label can hold or that is a class, and for seen classes and a background that are
    no classes.
    """
    content = _parsed(path)
    said: dict[str, Any] = content if isinstance(content, dict) else {"classes": content}
    for key in said.keys() - set(_KEYS):
        meant = difflib.get_close_matches(str(key), _KEYS, n=1, cutoff=0.6)
        if meant:
            raise InputError(f"{path}: no key {key!r}. The nearest is {meant[0]!r}.")
    words = _words(path, said.get("classes"))
    ignore_index, seen, background = (said.get(key) for key in ("ignore_index", "seen", "background"))
    if ignore_index is not None:
        _check_ignore_index(path, ignore_index, len(words))
    if seen is not None:
        if not isinstance(seen, list):
            raise InputError(f'{path}: seen must be a list of class names, such as ["sky"], got {json.dumps(seen)}.')
        for name in seen:
            _check_class(path, "seen", name, words)
    if background is not None:
        _check_class(path, "background", background, words)
        _check_background(path, background, words)
    return ClassList(
        words=words,
        ignore_index=ignore_index,
        seen=None if seen is None else frozenset(seen),
        has_background=background is not None,
    )


def _parsed(path: Path) -> object:
    content = file_bytes(path, f"no such file; write {_EXAMPLE}")
    try:
        return json.loads(content.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
    except RecursionError:
        raise InputError(f"{path}: brackets within brackets, too deep for a list of names; write {_EXAMPLE}.") from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path}: is not JSON ({error}).") from None


def _words(path: Path, classes: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(classes, list) or not classes:
        raise InputError(f"{path}: no class names; write {_EXAMPLE}.")
    if len(classes) >= IGNORE_INDEX:
        raise InputError(f"{path}: {len(classes)} classes; a 16-bit label holds at most {IGNORE_INDEX - 1}.")
    entries = [entry if isinstance(entry, list) else [entry] for entry in classes]
    for index, entry in enumerate(entries):
        broken = next((word for word in entry if isinstance(word, str) and not is_unicode(word)), None)
        if broken is not None:
            raise InputError(f"{path}: class {index} has half of a surrogate pair in it, {broken!a}; mend the name.")
        if not entry or not all(isinstance(word, str) and pieces(word) for word in entry):
            raise InputError(
                f"{path}: class {index} is {json.dumps(classes[index])}; every class needs a name, or a list of names."
            )
    times = Counter(word for entry in entries for word in entry)
    word, most = times.most_common(1)[0]
    if most > 1:
        raise InputError(f"{path}: the class name {word!r} is there {most} times; keep one.")
    if same := alike(times):
        raise InputError(f"{path}: the class names {same[0]!r} and {same[1]!r} are one text to CLIP; keep one.")
    return tuple(map(tuple, entries))


def _check_ignore_index(path: Path, ignore_index: object, num_classes: int) -> None:
    if not isinstance(ignore_index, int) or isinstance(ignore_index, bool) or not 0 <= ignore_index <= 65535:
        raise InputError(f"{path}: ignore_index must be a whole number in 0 .. 65535, got {json.dumps(ignore_index)}.")
    if ignore_index < num_classes:
        raise InputError(
            f"{path}: ignore_index {ignore_index} is also class {ignore_index} of {num_classes}; "
            f"use a value of at least {num_classes}, in 16-bit labels if it is above 255."
        )


def _check_class(path: Path, key: str, name: object, words: tuple[tuple[str, ...], ...]) -> None:
    names = tuple(entry[0] for entry in words)
    if not isinstance(name, str):
        raise InputError(f"{path}: {key} must hold the name of a class, got {json.dumps(name)}.")
    if name not in names:
        raise InputError(f"{path}: {key}: {unknown_name('class', name, names)}")


def _check_background(path: Path, name: str, words: tuple[tuple[str, ...], ...]) -> None:
    if name != words[-1][0]:
        raise InputError(f"{path}: background {name!r} must be the last of the classes, which is {words[-1][0]!r}.")
    if len(words[-1]) == 1:
        raise InputError(
            f"{path}: background {name!r} has no words to ask for; list them behind its name: "
            f'[{json.dumps(name)}, "wall", "tree"].'
        )
