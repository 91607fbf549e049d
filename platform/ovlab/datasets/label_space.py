"""What a model is asked for on a data set, and what its labels mean: usually the same names, not always.

The names of a benchmark come with synonyms, and PAS-20b asks for more names than it scores: those beyond its background
all mean background.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.seen_classes import seen_classes
from ovlab.datasets.vocabulary import prompt_names
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, shapes_benchmark
from ovlab.specs.evaluation import Collapse
from ovlab.specs.fingerprint import fingerprint


@dataclass(frozen=True, eq=False, slots=True)
class LabelSpace:
    """asked: the synonyms of every name the model is asked for. scored: the names of the label values.
    seen: for each label value, whether COCO-Stuff (or its miniature) trains on it; None where that is not known."""

    asked: tuple[tuple[str, ...], ...]
    scored: tuple[str, ...]
    seen: Bool[np.ndarray, "N"] | None = None
    collapse: Collapse | None = None


def label_space(dataset: SegmentationDataset, synonyms: Literal["first", "average"]) -> LabelSpace:
    """The label space of a data set that is known by name, or the class names of a folder of one's own."""
    seen = seen_classes(dataset.name)
    if seen is None:
        return LabelSpace(asked=tuple((name,) for name in dataset.class_names), scored=dataset.class_names)
    if dataset.name in SHAPES_NAMES:
        benchmark = shapes_benchmark(dataset.name)
        # A training split has the seen classes only, which come first.
        scored = benchmark.label_names[: len(dataset.class_names)]
        asked = scored if benchmark.background_index is None else benchmark.class_names
        return LabelSpace(
            asked=tuple((name,) for name in asked),
            scored=scored,
            seen=seen[: len(scored)],
            collapse=_collapse(benchmark.background_index),
        )
    known = DATASETS[dataset.name]
    return LabelSpace(
        asked=tuple(prompt_names(entry, synonyms) for entry in known.prompt_entries),
        scored=dataset.class_names,
        seen=seen,
        collapse=_collapse(known.background),
    )


def vocabulary_digest(labels: LabelSpace) -> str:
    """64 hexadecimal digits over the names asked for, the meaning of the labels, and which of them count as seen."""
    seen = None if labels.seen is None else labels.seen.tolist()
    return fingerprint({"asked": labels.asked, "scored": labels.scored, "seen": seen, "collapse": labels.collapse})


def _collapse(background: int | None) -> Collapse | None:
    return None if background is None else Collapse(background=background)
