"""Some samples of a data set, in an order of one's own."""

from dataclasses import dataclass

from ovlab.datasets.sample import Sample, SegmentationDataset


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

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name}: no sample {index} in this selection, there are {len(self)}.")
        return self.dataset[self.indices[index]]


def first_samples(dataset: SegmentationDataset, num_samples: int) -> Selection:
    """The first `num_samples` of `dataset`, or all of a smaller one."""
    return Selection(dataset, tuple(range(min(num_samples, len(dataset)))))
