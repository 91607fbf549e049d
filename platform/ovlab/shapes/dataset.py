"""The shapes suite as data sets: pictures that are painted when they are asked for, with exact labels.

A split is also what `ovlab.datasets.prepare` takes (an OriginalSplit), for a cluster or to look into.

Nothing is stored and nothing is downloaded; the same index gives the same bytes on every machine. What each set is for
and what it names stands in shapes_benchmarks.py.
"""

import difflib
import io
import operator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool
from PIL import Image

from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.manifest import names_digest
from ovlab.datasets.original import OriginalPair
from ovlab.datasets.sample import Sample
from ovlab.shapes.render import render
from ovlab.shapes.sampling import draw_scene
from ovlab.shapes.scene import IMAGE_SIZE
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, ShapesBenchmark, Split, shapes_benchmark
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import SynonymRule
from ovlab.specs.fingerprint import fingerprint

# Raised whenever the painter would paint the same recipe otherwise; test_dataset.py holds the hash of its scenes.
SHAPES_VERSION = 1


@dataclass(frozen=True)
class ShapesDataset:
    """One split of the suite. A training split knows the seen classes only, which come first in every vocabulary."""

    benchmark: ShapesBenchmark
    split: str
    num_samples: int
    notes: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        return self.benchmark.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.benchmark.class_names[: self._num_known]

    @property
    def seen(self) -> Bool[np.ndarray, "N"]:
        """For each label, whether training can show it."""
        return np.array(self.benchmark.seen[: self._num_known])

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        return ((IMAGE_SIZE, IMAGE_SIZE),) * self.num_samples

    @cached_property
    def digest(self) -> str:
        """Over the version of the painter and the recipe of the scenes."""
        return fingerprint(
            {
                "kind": "shapes",
                "version": SHAPES_VERSION,
                "distribution": self._recipe.distribution,
                "seed": self._recipe.seed,
                "num_samples": self.num_samples,
                "class_names": names_digest(self.benchmark.asked[: self._num_known]),
                "label_names": names_digest(self.class_names),
                "label_of": self.benchmark.label_of.tolist(),
            }
        )

    def label_pixels(self) -> None:
        """Only painting tells."""

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        """No name of this world has a synonym."""
        return self.benchmark.label_space(self._num_known)

    @cached_property
    def sample_ids(self) -> tuple[str, ...]:
        return tuple(_sample_id(index) for index in range(self.num_samples))

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> Sample:
        index = operator.index(index)
        if not 0 <= index < self.num_samples:
            raise IndexError(f"{self.name}, {self.split}: no sample {index}, there are {self.num_samples}.")
        recipe = self._recipe
        rendering = render(draw_scene(recipe.distribution, recipe.seed, index))
        return Sample(_sample_id(index), rendering.image, self.benchmark.label_of[rendering.surface])

    @property
    def expected_count(self) -> int:
        return self.num_samples

    def read(self, sample_id: str) -> OriginalPair:
        """The photograph is PNG, so that nothing is lost."""
        sample = self[int(sample_id)]
        content = io.BytesIO()
        Image.fromarray(sample.image).save(content, format="PNG")
        return OriginalPair(sample_id, content.getvalue(), sample.label)

    @property
    def _recipe(self) -> Split:
        return self.benchmark.splits[self.split]

    @property
    def _num_known(self) -> int | None:
        """Names that the split knows, from the first on; None for all."""
        return sum(self.benchmark.seen) if self.split == "train" else None


def open_shapes(name: str, split: str, *, num_samples: int | None = None) -> ShapesDataset:
    """A split of the suite, or its first `num_samples` scenes, for quick tests and demos.

    More samples than the split has are allowed: the scenes go on. Raises InputError for what does not exist.
    """
    if name not in SHAPES_NAMES:
        near = difflib.get_close_matches(name, SHAPES_NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"No shapes set {name!r}.{hint} There are {', '.join(SHAPES_NAMES)}.")
    benchmark = shapes_benchmark(name)
    if split not in benchmark.splits:
        raise InputError(f"{name} has no split {split!r}. It has {', '.join(benchmark.splits)}.")
    if num_samples is None:
        num_samples = benchmark.splits[split].num_samples
    if num_samples < 1:
        raise InputError(f"{name}, {split}: num_samples must be at least 1, got {num_samples}.")
    return ShapesDataset(benchmark, split, num_samples)


def _sample_id(index: int) -> str:
    return f"{index:06d}"
