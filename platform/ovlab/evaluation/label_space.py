"""What a model is asked for on a data set, and what its labels mean: usually the same names, not always.

The names of a benchmark come with synonyms, and PAS-20b asks for more names than it scores: those beyond its background
all mean background.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.datasets.shapes import ShapesDataset, open_shapes
from ovlab.datasets.shapes_benchmarks import SHAPES_NAMES
from ovlab.datasets.sharded import ShardedDataset
from ovlab.datasets.vocabulary import prompt_names
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
    if isinstance(dataset, FirstSamples):
        return label_space(dataset.dataset, synonyms)
    if isinstance(dataset, ShardedDataset) and dataset.name in SHAPES_NAMES:
        return label_space(open_shapes(dataset.name, dataset.split), synonyms)
    if isinstance(dataset, ShapesDataset):
        return LabelSpace(
            asked=tuple((name,) for name in dataset.class_names),
            scored=dataset.label_names,
            seen=np.array(dataset.seen),
            collapse=_collapse(dataset.background_index),
        )
    known = DATASETS.get(dataset.name)
    if known is None:
        return LabelSpace(asked=tuple((name,) for name in dataset.class_names), scored=dataset.class_names)
    seen = np.array(known.seen[: known.num_label_classes], bool)
    # Background, the last label of PAS-20b, is no word of training.
    seen = np.pad(seen, (0, known.num_label_classes - len(seen)))
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


@dataclass(frozen=True, slots=True)
class FirstSamples:
    """The first samples of a data set, for a quick look; everything else is the data set's."""

    dataset: SegmentationDataset
    num_samples: int

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return self.dataset.sample_ids[: self.num_samples]

    def __len__(self) -> int:
        return min(self.num_samples, len(self.dataset))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name}: no sample {index}, there are {len(self)}.")
        return self.dataset[index]


def _collapse(background: int | None) -> Collapse | None:
    return None if background is None else Collapse(background=background)
