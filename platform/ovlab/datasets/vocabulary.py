"""The class names of each data set, and the tables that go with them, as text files in `vocabularies/`.

vocabularies/NAME.txt          one class a line, in the order of the train ids; synonyms joined by ", "
vocabularies/raw_ids/NAME.txt  the value that the original label files hold for each class
vocabularies/seen/NAME.txt     class, tier and matching name of COCO-Stuff (of msrc: in camvid), tab separated

The first line of every file is a comment that says where it comes from.
"""

import difflib
from dataclasses import dataclass
from importlib import resources

from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import SynonymRule

VOCABULARIES = ("coco-stuff", "a-847", "pc-459", "a-150", "pc-59", "pas-20", "pas-20b", "msrc", "camvid")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names of N classes, in the order of their train ids. `origin` is where the list comes from."""

    name: str
    origin: str
    entries: tuple[str, ...]


def load_vocabulary(name: str) -> Vocabulary:
    """The vocabulary `name` of VOCABULARIES. Raises InputError for another name."""
    if name not in VOCABULARIES:
        raise InputError(unknown_name("vocabulary", name, VOCABULARIES))
    origin, entries = _lines(f"{name}.txt")
    return Vocabulary(name=name, origin=origin, entries=entries)


def load_raw_ids(name: str) -> tuple[int, ...]:
    """The raw label value of each of the N classes of vocabulary `name`; "pas-20b" has none of its own."""
    return tuple(int(line) for line in _lines(f"raw_ids/{name}.txt")[1])


def load_seen(name: str) -> tuple[bool, ...]:
    """For each class of vocabulary `name`, whether training names it (of msrc and camvid that on MSRC, of the others
    that on COCO-Stuff), by the definition in seen/NAME.txt."""
    if name == "coco-stuff":
        return (True,) * len(load_vocabulary(name).entries)
    return tuple(line.split("\t")[1] != "unseen" for line in _lines(f"seen/{name}.txt")[1])


def synonyms(entry: str) -> tuple[str, ...]:
    """The names of one class: "road, route" is ("road", "route")."""
    return tuple(name.strip() for name in entry.split(", "))


def prompt_names(entry: str, rule: SynonymRule) -> tuple[str, ...]:
    """The names of a class to encode, see `by_rule`."""
    return by_rule(synonyms(entry), rule)


def by_rule(names: tuple[str, ...], rule: SynonymRule) -> tuple[str, ...]:
    """Of all names of a class those to encode: its first alone, all of them, or all of them as one."""
    return {"first": names[:1], "average": names, "joined": (", ".join(names),)}[rule]


def unknown_name(kind: str, name: str, known: tuple[str, ...]) -> str:
    """The line that refuses `name` and offers the nearest of `known`."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return f"no {kind} '{name}'.{hint} Known: {', '.join(known)}."


def _lines(path: str) -> tuple[str, tuple[str, ...]]:
    """The origin in the first line of a file of vocabularies/, and the other lines."""
    text = resources.files("ovlab.datasets").joinpath("vocabularies", path).read_text(encoding="utf-8")
    first, *rest = text.splitlines()
    return first.removeprefix("# "), tuple(rest)
