"""The two studies that share every table, the paper's and its miniature on the shapes world, and one on photographs
that anybody can repeat.

The first two have the four backbones, the three training sets and the six benchmarks of the paper's tables, called
alike ("vit-b", "coco-stuff", "a-847"), so that a table is written once. The third has tables and names of its own.
Where prepared data and CLIP weights lie is no part of a suite.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from logoseg.config import ModelConfig, PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.presets import PRESETS
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import (
    CAT_SEG_CLASS_CAP,
    Protocol,
    cat_seg,
    san,
    sed,
    sliding_window,
    whole,
    whole_768,
)
from ovlab.specs.training import ScheduleSpec, TrainingSpec

Value = TypeVar("Value")

TRAIN_SPLIT = "train"
EVALUATION_SPLIT = "val"
# The training split in two, see `ovlab.datasets.held_out`.
FIT_SPLIT, HELD_OUT_SPLIT = "train-fit", "train-held-out"
# The training split with its seen classes alone, see `ovlab.datasets.seen_labels`.
SEEN_SPLIT = "train-seen"
# The paper's, by the names of their files.
PAPER_TABLES = ("table1", "table2", "table3", "table4", "table5")


class Place(NamedTuple):
    """A data set that no suite knows: its name, by which its results are found without it, and where it lies."""

    name: str
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A measured row of Table 1: the preset of its model, and how its protocol looks at a photograph. own: the protocol
    of each method that was published with another one on this backbone."""

    preset: str
    protocol: Protocol
    own: Mapping[str, Protocol] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """backbones, training_sets, benchmarks: from what a table calls them to what they are, in the order of the tables.

    The first backbone is that of the ablations, the first training set that of Tables 1-4. `augmentation` holds for a
    crop of the model's input size, whatever its crop_size says here. `region_grids` says which grid stands for one of
    the paper's, both as regions a side. tables: those that it was made for. methods: the table of LoGoSeg beside its
    rivals. heading: of what is measured in it, where that does not stand beside the paper's figures.
    """

    name: str
    backbones: Mapping[str, Backbone]
    training_sets: Mapping[str, str]
    benchmarks: Mapping[str, str]
    augmentation: AugmentationSpec
    schedule: ScheduleSpec
    region_grids: Mapping[int, int]
    tables: tuple[str, ...] = PAPER_TABLES
    methods: str = "rivals"
    heading: str = "In the miniature"

    def model(self, backbone: str = "vit-b") -> ModelConfig:
        """The preset of a backbone. Raises InputError for one that the suite or the model does not know."""
        preset = _look_up(self.backbones, backbone, f"suite {self.name}: backbone").preset
        return _look_up(PRESETS, preset, f"suite {self.name}: preset")()

    def protocol(self, backbone: str = "vit-b", *, own: str | None = None) -> Protocol:
        """How this backbone is evaluated, with the prompts of its preset; a benchmark adds its label space. own: as the
        method of this name was published, where that is otherwise."""
        known = _look_up(self.backbones, backbone, f"suite {self.name}: backbone")
        protocol = known.protocol if own is None else known.own.get(own, known.protocol)
        return replace(protocol, prompt_templates=self.model(backbone).prompt_templates)

    def training(
        self,
        backbone: str = "vit-b",
        training_set: str = "coco-stuff",
        *,
        model: ModelConfig | None = None,
        seed: int = 0,
    ) -> TrainingSpec:
        """The spec of one run; `model` is a variant of the backbone's preset, for an ablation."""
        model = self.model(backbone) if model is None else model
        return TrainingSpec(
            model=model,
            dataset=_look_up(self.training_sets, training_set, f"suite {self.name}: training set"),
            split=TRAIN_SPLIT,
            augmentation=replace(self.augmentation, crop_size=model.clip.image_size),
            schedule=self.schedule,
            seed=seed,
        )

    def benchmark(self, column: str) -> str:
        """The name of the data set of a column, a benchmark or a training set, or a place, see `place_of`.

        Raises InputError for one that there is not, and for a place that goes by the name of one of the suite's.
        """
        place = place_of(column)
        if place is None:
            try:
                return _look_up({**self.benchmarks, **self.training_sets}, column, f"suite {self.name}: benchmark")
            except InputError as error:
                raise InputError(f"{error} A folder of your own is written with a '/': ./{column}.") from None
        if place.name in {*self.benchmarks.values(), *self.training_sets.values()}:
            raise InputError(
                f"{column}: {place.name} is a data set of the suite {self.name}. Write its name, and where it lies "
                f"with --data {place.name}={place.uri}; or rename yours."
            )
        return place.name

    def region_grid(self, paper: int) -> int:
        """What stands for the paper's grid of `paper` regions a side. Raises InputError where nothing does."""
        if paper not in self.region_grids:
            known = ", ".join(map(str, self.region_grids))
            raise InputError(
                f"suite {self.name}: nothing stands for the region grid {paper} of the paper; for {known}."
            )
        return self.region_grids[paper]


_PAPER_BENCHMARKS = ("a-847", "pc-459", "a-150", "pc-59", "pas-20", "pas-20b")

# Sections 3.1 and 3.2 of the paper.
PAPER = Suite(
    name="paper",
    backbones={
        "vit-b": Backbone(preset="vit-b16", protocol=sliding_window(384), own={"cat-seg": cat_seg(384), "san": san()}),
        "vit-l": Backbone(preset="vit-l14", protocol=sliding_window(336), own={"cat-seg": cat_seg(336), "san": san()}),
        "convnext-b": Backbone(preset="convnext-b", protocol=whole_768(), own={"sed": sed()}),
        "convnext-l": Backbone(preset="convnext-l", protocol=whole_768(), own={"sed": sed()}),
    },
    training_sets={name: name for name in ("coco-stuff", "pc-59", "a-150")},
    benchmarks={name: name for name in _PAPER_BENCHMARKS},
    augmentation=AugmentationSpec(crop_size=384),
    schedule=ScheduleSpec(steps=80_000, batch_size=4),
    region_grids={4: 4, 6: 6, 8: 8},
)

# The side in pixels of a scene of the shapes world.
_SCENE_SIZE = 96

# The methods' own protocols in the miniature, by the side at which the model runs: 96 for 384 (CAT-Seg), 768 (SED) and
# 640 (SAN).
_SHAPES_OWN_VIT = {
    "cat-seg": Protocol(
        inference=SlidingWindow(
            size=160, kernel=96, stride=64, input_size=96, loader=ShortestEdge(size=160, longest=640)
        ),
        class_cap=CAT_SEG_CLASS_CAP,
    ),
    "san": Protocol(inference=PaddedImage(loader=ShortestEdge(size=96, longest=384)), synonyms="joined"),
}
_SHAPES_OWN_CONVNEXT = {
    "sed": Protocol(inference=WholeImage(size=96, loader=ShortestEdge(size=80, longest=320)), synonyms="average")
}

SHAPES = Suite(
    name="shapes",
    backbones={
        "vit-b": Backbone(preset="shapes-vit-s", protocol=whole(_SCENE_SIZE), own=_SHAPES_OWN_VIT),
        "vit-l": Backbone(preset="shapes-vit-l", protocol=whole(_SCENE_SIZE), own=_SHAPES_OWN_VIT),
        "convnext-b": Backbone(preset="shapes-convnext-s", protocol=whole(_SCENE_SIZE), own=_SHAPES_OWN_CONVNEXT),
        "convnext-l": Backbone(preset="shapes-convnext-l", protocol=whole(_SCENE_SIZE), own=_SHAPES_OWN_CONVNEXT),
    },
    training_sets={"coco-stuff": "shapes-coco", "pc-59": "shapes-pc-59", "a-150": "shapes-a-150"},
    benchmarks={name: f"shapes-{name}" for name in _PAPER_BENCHMARKS},
    # A colour is half of a name here, and the painter varies it already.
    augmentation=AugmentationSpec(crop_size=_SCENE_SIZE, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0),
    schedule=ScheduleSpec(steps=100, batch_size=4, learning_rate=3e-3),
    # 12 x 12 tokens instead of 24 x 24: as many tokens a region as in the paper.
    region_grids={4: 2, 6: 3, 8: 4},
)

_PHOTOGRAPH_SIZE = 384

# On weights and photographs that need no registration. No figure of it stands for one of the paper's.
PHOTOGRAPHS = Suite(
    name="photographs",
    backbones={
        "bridge": Backbone(preset="photo-lite0", protocol=whole(_PHOTOGRAPH_SIZE)),
        "scratch": Backbone(preset="tiny", protocol=whole(_PHOTOGRAPH_SIZE)),
    },
    training_sets={"msrc": "msrc"},
    benchmarks={name: name for name in ("msrc", "camvid", "pas-20", "a-150", "coco-stuff")},
    augmentation=AugmentationSpec(crop_size=_PHOTOGRAPH_SIZE),
    schedule=ScheduleSpec(steps=100, batch_size=4, learning_rate=3e-4),
    # The bridge has 12 x 12 positions, as the miniature.
    region_grids=SHAPES.region_grids,
    tables=("photographs", "photograph_samples"),
    methods="photographs",
    heading="On photographs",
)

SUITES: Mapping[str, Suite] = {suite.name: suite for suite in (PAPER, SHAPES, PHOTOGRAPHS)}


def place_of(column: str) -> Place | None:
    """A column's benchmark as a place: a path or an address, which goes by its last part, or NAME=URI; None for a name
    without a "/". What lies there must have that name. Raises InputError for a place that has none."""
    name, equals, uri = column.partition("=")
    if not equals or "/" in name:
        uri = column.rstrip("/")
        name = uri.rpartition("/")[2]
        if "/" not in column:
            return None
    if name in ("", ".", "..") or not uri:
        raise InputError(f"{column}: no name in it. Write NAME=URI, with the name of the data set that lies there.")
    return Place(name, uri)


def suite_named(name: str) -> Suite:
    """The suite of that name. Raises InputError for another one."""
    return _look_up(SUITES, name, "--suite")


def _look_up(known: Mapping[str, Value], name: str, what: str) -> Value:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise InputError(f"{what} {name!r}: there is none. The nearest is {near!r}. There are: {', '.join(known)}.")
    return known[name]
