"""The shapes suite: one training set and six benchmarks with the characters of the originals, in miniature.

| name           | after       | classes    | an object is named by          | character                              |
|----------------|-------------|------------|--------------------------------|----------------------------------------|
| shapes-coco    | COCO-Stuff  | 255        | colour, texture and shape      | to train on: all that is seen          |
| shapes-a-847   | ADE20K-Full | 404        | colour, texture and shape      | everything, most of it rare            |
| shapes-pc-459  | Context     | 260        | the same, or colour and shape  | a quarter of the classes never in val  |
| shapes-a-150   | ADE20K      | 116        | colour and shape               | every class frequent                   |
| shapes-pc-59   | Context     | 59         | texture and shape              | small; some stuff is ignored           |
| shapes-pas-20  | VOC         | 20         | colour and shape               | objects only, large; the rest ignored  |
| shapes-pas-20b | VOC         | 21 from 59 | colour and shape               | the rest is background                 |

A class is seen when training can show any of its compositions, or its stuff. Vocabularies list the seen classes first:
a training split knows only these, so that an unseen name is not even a negative, and labels agree between the splits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import numpy as np
from jaxtyping import UInt16

from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.shapes.randomness import Draws
from ovlab.shapes.sampling import SceneDistribution, uniform_distribution
from ovlab.shapes.world import (
    COMPOSITIONS,
    NUM_COMPOSITIONS,
    NUM_WORLD_IDS,
    SEEN,
    SEEN_COMPOSITIONS,
    SEEN_STUFF,
    STUFF,
    STUFF_IDS,
    colour_shape_name,
    texture_shape_name,
    world_name,
)
from ovlab.specs.evaluation import Collapse


@dataclass(frozen=True, slots=True)
class Split:
    """Scenes 0 .. num_samples - 1 of a distribution, drawn with a seed of their own."""

    distribution: SceneDistribution
    num_samples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesBenchmark:
    """asked: the names a model is asked for. class_names: what the labels count, the same except for pas-20b, where
    every name from `background_index` on means label `background_index`. seen: one truth value a label; background
    counts as seen. label_of: the label of each world id, or IGNORE_INDEX."""

    name: str
    asked: tuple[str, ...]
    class_names: tuple[str, ...]
    seen: tuple[bool, ...]
    label_of: UInt16[np.ndarray, "404"]
    background_index: int | None
    splits: Mapping[str, Split]

    def label_space(self, num_labels: int | None = None) -> LabelSpace:
        """That of the first `num_labels` labels: a training split has the seen classes only, which come first."""
        scored = self.class_names[:num_labels]
        background = self.background_index
        return LabelSpace(
            asked=tuple((name,) for name in (scored if background is None else self.asked)),
            scored=scored,
            seen=np.array(self.seen[:num_labels]),
            collapse=None if background is None else Collapse(background=background),
        )


# Stuff that shapes-pc-59 names: all five unseen kinds and six seen ones. Three more occur there and are ignored.
_PC_59_STUFF = ("sky", "grass", "water", "brick", "wood", "road", "sand", "marble", "ice", "roof", "straw")
_PC_59_IGNORED = ("hedge", "metal", "tile")

# Fifteen seen pairs, then five unseen ones: each colour two or three times, each shape once or twice.
_PAS_20_NAMES = (
    *("blue circle", "orange circle", "red star", "black star", "green arrow"),
    *("yellow square", "purple square", "pink heart", "blue flower", "red triangle"),
    *("green ring", "yellow bolt", "black cross", "orange moon", "purple bow"),
    *("red heart", "yellow flower", "black triangle", "pink ring", "green bolt"),
)


def _coco() -> ShapesBenchmark:
    """All seen compositions and seen stuff, each by its full name."""
    distribution = uniform_distribution(SEEN_COMPOSITIONS, SEEN_STUFF)
    splits = {"train": Split(distribution, 20_000, 101), "val": Split(distribution, 300, 102)}
    return _benchmark("shapes-coco", lambda i: world_name(i) if i in SEEN else None, splits)


def _a_847() -> ShapesBenchmark:
    """Every composition and stuff. By Zipf's law most objects are rare, but each is in front once in 384 scenes."""
    by_rank = Draws(847, 0, "shuffle").shuffled(range(NUM_COMPOSITIONS))
    stuff_by_rank = Draws(847, 1, "shuffle").shuffled(STUFF_IDS)
    distribution = replace(
        uniform_distribution(range(NUM_COMPOSITIONS), STUFF_IDS),
        front=by_rank,
        compositions=by_rank,
        stuff=stuff_by_rank,
        composition_weights=tuple(10_000 // (rank + 5) for rank in range(len(by_rank))),
        stuff_weights=tuple(10_000 // (rank + 5) for rank in range(len(stuff_by_rank))),
    )
    return _benchmark("shapes-a-847", world_name, {"val": Split(distribution, 400, 203)})


def _pc_459() -> ShapesBenchmark:
    """Six shapes by full name, six by colour and shape, all stuff; a quarter of the seen and a quarter of the unseen
    classes never occur, so that the two conventions of mean IoU differ."""
    name_of = _pc_459_name
    names, seen = _vocabulary(name_of)
    shuffled = Draws(459, 0, "shuffle").shuffled(names)
    by_seen = [[name for name in shuffled if seen[names.index(name)] is kind] for kind in (True, False)]
    absent = set(chain.from_iterable(part[: round(len(part) / 4)] for part in by_seen))
    present = tuple(i for i in range(NUM_WORLD_IDS) if name_of(i) not in absent)
    distribution = uniform_distribution(
        tuple(i for i in present if i < NUM_COMPOSITIONS), tuple(i for i in present if i >= NUM_COMPOSITIONS)
    )
    return _benchmark("shapes-pc-459", name_of, {"val": Split(distribution, 300, 304)})


def _pc_459_name(world_id: int) -> str:
    in_full = world_id >= NUM_COMPOSITIONS or COMPOSITIONS[world_id].shape % 2 == 0
    return world_name(world_id) if in_full else colour_shape_name(world_id)


def _a_150() -> ShapesBenchmark:
    """Colour and shape, and all stuff: few enough classes that each is met often."""
    everything = uniform_distribution(tuple(range(NUM_COMPOSITIONS)), STUFF_IDS)
    training = uniform_distribution(SEEN_COMPOSITIONS, SEEN_STUFF)
    splits = {"train": Split(training, 8_000, 401), "val": Split(everything, 300, 402)}
    return _benchmark("shapes-a-150", colour_shape_name, splits)


def _pc_59() -> ShapesBenchmark:
    """Texture and shape, and eleven kinds of stuff; three more kinds are shown and ignored."""
    shown = tuple(NUM_COMPOSITIONS + STUFF.index(name) for name in _PC_59_STUFF + _PC_59_IGNORED)
    everything = uniform_distribution(tuple(range(NUM_COMPOSITIONS)), shown)
    training = uniform_distribution(SEEN_COMPOSITIONS, tuple(i for i in shown if i in SEEN))
    splits = {"train": Split(training, 3_000, 501), "val": Split(everything, 300, 502)}
    return _benchmark("shapes-pc-59", _pc_59_name, splits)


def _pc_59_name(world_id: int) -> str | None:
    name = texture_shape_name(world_id)
    return name if world_id < NUM_COMPOSITIONS or name in _PC_59_STUFF else None


def _pas_20() -> ShapesBenchmark:
    """Twenty pairs of colour and shape, large; stuff and other objects are ignored."""
    return _benchmark("shapes-pas-20", _pas_20_name, {"val": _pas_20_split()})


def _pas_20b() -> ShapesBenchmark:
    """The scenes of shapes-pas-20. The prompts add the 39 other things shown; whatever is none of the twenty objects
    is background."""
    twenty = _pas_20()
    split = twenty.splits["val"]
    others = dict.fromkeys(
        name
        for world_id in sorted(split.distribution.compositions + split.distribution.stuff)
        if (name := colour_shape_name(world_id)) not in _PAS_20_NAMES
    )
    background = len(twenty.class_names)
    return ShapesBenchmark(
        name="shapes-pas-20b",
        asked=(*twenty.class_names, *others),
        class_names=(*twenty.class_names, "background"),
        seen=(*twenty.seen, True),
        label_of=np.where(twenty.label_of == IGNORE_INDEX, background, twenty.label_of).astype(np.uint16),
        background_index=background,
        splits={"val": split},
    )


def _pas_20_name(world_id: int) -> str | None:
    name = colour_shape_name(world_id)
    return name if name in _PAS_20_NAMES else None


def _pas_20_split() -> Split:
    """Every composition of the twenty pairs, one of them always in front, and one composition of each of nineteen
    other pairs."""
    named = [c.world_id for c in COMPOSITIONS if _pas_20_name(c.world_id)]
    others = [
        c.world_id for c in COMPOSITIONS if not _pas_20_name(c.world_id) and c.texture == (c.colour + c.shape) % 4
    ]
    distractors = Draws(20, 0, "shuffle").shuffled(others)[:19]
    everything = uniform_distribution(
        (*named, *distractors), STUFF_IDS, object_count_weights=(35, 35, 20, 10, 0), tiny_percent=0, large_percent=55
    )
    return Split(replace(everything, front=Draws(20, 1, "shuffle").shuffled(named)), 300, 602)


def _benchmark(name: str, name_of: Callable[[int], str | None], splits: Mapping[str, Split]) -> ShapesBenchmark:
    names, seen = _vocabulary(name_of)
    position = {class_name: index for index, class_name in enumerate(names)}
    labels = [position.get(name_of(world_id) or "", IGNORE_INDEX) for world_id in range(NUM_WORLD_IDS)]
    return ShapesBenchmark(
        name=name,
        asked=names,
        class_names=names,
        seen=seen,
        label_of=np.array(labels, np.uint16),
        background_index=None,
        splits=splits,
    )


def _vocabulary(name_of: Callable[[int], str | None]) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """The distinct names, seen ones first, and whether each is seen."""
    seen: dict[str, bool] = {}
    for world_id in range(NUM_WORLD_IDS):
        if name := name_of(world_id):
            seen[name] = seen.get(name, False) or world_id in SEEN
    names = tuple(sorted(seen, key=lambda name: not seen[name]))
    return names, tuple(seen[name] for name in names)


_BUILDERS: dict[str, Callable[[], ShapesBenchmark]] = {
    "shapes-coco": _coco,
    "shapes-a-847": _a_847,
    "shapes-pc-459": _pc_459,
    "shapes-a-150": _a_150,
    "shapes-pc-59": _pc_59,
    "shapes-pas-20": _pas_20,
    "shapes-pas-20b": _pas_20b,
}
SHAPES_NAMES = tuple(_BUILDERS)


@lru_cache(maxsize=len(_BUILDERS))
def shapes_benchmark(name: str) -> ShapesBenchmark:
    """The benchmark or training set of that name. Raises KeyError for a name that is not in SHAPES_NAMES."""
    return _BUILDERS[name]()
