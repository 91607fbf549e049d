"""Some samples of a data set, in an order of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.manifest import names_digest
from ovlab.datasets.sample import Sample, SegmentationDataset
from ovlab.specs.evaluation import SynonymRule
from ovlab.specs.fingerprint import fingerprint


@dataclass(frozen=True, slots=True)
class Selection:
    """The samples at `indices` of `dataset`; everything else is the data set's."""

    dataset: SegmentationDataset
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @property
    def sample_ids(self) -> tuple[str, ...]:
        ids = self.dataset.sample_ids
        return tuple(ids[index] for index in self.indices)

    @property
    def seen(self) -> Bool[np.ndarray, "N"] | None:
        return self.dataset.seen

    @property
    def digest(self) -> str:
        """Over the names alone: of a part, no kind of data set knows more."""
        names = {"sample_ids": names_digest(self.sample_ids), "class_names": names_digest(self.class_names)}
        return fingerprint({"kind": "names", **names})

    @property
    def shapes(self) -> Sequence[tuple[int, int]] | None:
        shapes = self.dataset.shapes
        return None if shapes is None else [shapes[index] for index in self.indices]

    def label_pixels(self) -> None:
        """Only of a whole split is it to be expected that its classes occur."""

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        return self.dataset.label_space(synonyms)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name}: no sample {index} in this selection, there are {len(self)}.")
        return self.dataset[self.indices[index]]


def first_samples(dataset: SegmentationDataset, num_samples: int) -> Selection:
    """The first `num_samples` of `dataset`, or all of a smaller one."""
    return Selection(dataset, tuple(range(min(num_samples, len(dataset)))))
