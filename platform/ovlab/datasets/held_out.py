"""A training set in two: what is trained on, and what is held out, to choose by what no benchmark may tell."""

from dataclasses import dataclass

from ovlab.datasets.manifest import names_digest
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.selection import Selection
from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import fingerprint

# Enough that scores of two learning rates can be told apart, few enough that no method takes long.
NUM_HELD_OUT = 200


@dataclass(frozen=True, slots=True)
class Part(Selection):
    """Some samples of a split whose digest says what is in them."""

    @property
    def digest(self) -> str:
        """Over the whole split and the names of those that are in the part."""
        return fingerprint({"kind": "part", "of": self.dataset.digest, "sample_ids": names_digest(self.sample_ids)})


def fit_part(dataset: SegmentationDataset) -> Part:
    """All that is not held out."""
    held_out = set(_held_out(dataset))
    return Part(dataset, tuple(index for index in range(len(dataset)) if index not in held_out))


def held_out_part(dataset: SegmentationDataset) -> Part:
    """NUM_HELD_OUT samples, evenly over the whole."""
    return Part(dataset, _held_out(dataset))


def _held_out(dataset: SegmentationDataset) -> tuple[int, ...]:
    """Raises InputError where half or more would be held out."""
    if len(dataset) <= 2 * NUM_HELD_OUT:
        raise InputError(
            f"{dataset.name}: {NUM_HELD_OUT} images are held out of more than twice as many; there are {len(dataset)}."
        )
    return tuple(number * len(dataset) // NUM_HELD_OUT for number in range(NUM_HELD_OUT))
