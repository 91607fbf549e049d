"""A training split with the classes that training may see: the others have no name there, and their pixels no label."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, UInt16

from ovlab.datasets.label_pixels import LabelPixels
from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.manifest import names_digest
from ovlab.datasets.sample import IGNORE_INDEX, Sample, SegmentationDataset
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import SynonymRule
from ovlab.specs.fingerprint import fingerprint


@dataclass(frozen=True)
class SeenLabels:
    """All photographs of `dataset`, and of its N labels the S seen ones, in their order. Pixels of the others are
    ignored, so that an unseen name is not even a negative."""

    dataset: SegmentationDataset

    @property
    def name(self) -> str:
        return self.dataset.name

    @cached_property
    def _kept(self) -> tuple[int, ...]:
        seen = self.dataset.seen
        assert seen is not None  # `seen_labels` has refused it
        return tuple(np.flatnonzero(seen).tolist())

    @cached_property
    def _table(self) -> UInt16[np.ndarray, "65536"]:
        table = np.full(IGNORE_INDEX + 1, IGNORE_INDEX, dtype=np.uint16)
        table[list(self._kept)] = np.arange(len(self._kept), dtype=np.uint16)
        return table

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.dataset.class_names[index] for index in self._kept)

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return self.dataset.sample_ids

    @property
    def seen(self) -> Bool[np.ndarray, "S"]:
        return np.ones(len(self._kept), dtype=bool)

    @property
    def digest(self) -> str:
        """Over the whole split and the names of the seen classes."""
        return fingerprint({"kind": "seen", "of": self.dataset.digest, "class_names": names_digest(self.class_names)})

    @property
    def shapes(self) -> Sequence[tuple[int, int]] | None:
        return self.dataset.shapes

    def label_pixels(self) -> LabelPixels | None:
        found = self.dataset.label_pixels()
        if found is None:
            return None
        kept = tuple(found.of_classes[index] for index in self._kept)
        num_ignored = None if found.num_ignored is None else found.num_ignored + sum(found.of_classes) - sum(kept)
        return LabelPixels(class_names=self.class_names, of_classes=kept, num_ignored=num_ignored)

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        whole = self.dataset.label_space(synonyms)
        return LabelSpace(
            asked=tuple(whole.asked[index] for index in self._kept), scored=self.class_names, seen=self.seen
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        return Sample(sample.id, sample.image, self._table[sample.label])


def seen_labels(dataset: SegmentationDataset) -> SeenLabels:
    """The split with its seen classes. Raises InputError where nothing is known of them, or none is seen."""
    if dataset.seen is None or not dataset.seen.any():
        raise InputError(
            f"{dataset.name}: no class of it is known to be seen; name them in classes.json, or train on all."
        )
    return SeenLabels(dataset)
