"""One way in: a name or a place, and what stands there decides how it is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.folder import CLASS_LIST, open_folder
from ovlab.datasets.held_out import fit_part, held_out_part
from ovlab.datasets.manifest import MANIFEST
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.seen_labels import seen_labels
from ovlab.datasets.sharded import open_shards
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError
from ovlab.specs.suite import FIT_SPLIT, HELD_OUT_SPLIT, SEEN_SPLIT, TRAIN_SPLIT

# What is made of a training split, by the name under which it is a split.
MADE: Mapping[str, Callable[[SegmentationDataset], SegmentationDataset]] = MappingProxyType(
    {FIT_SPLIT: fit_part, HELD_OUT_SPLIT: held_out_part, SEEN_SPLIT: seen_labels}
)


def open_dataset(name: str, split: str, *, num_samples: int | None = None) -> SegmentationDataset:
    """A set of the shapes suite by name, prepared shards by folder or s3:// address, or a folder of one's own.

    A split of MADE is made of its training split. `num_samples` is for the shapes suite, whose scenes
    are made on demand. Raises InputError where nothing is found.
    """
    if split in MADE:
        return MADE[split](open_dataset(name, TRAIN_SPLIT, num_samples=num_samples))
    if name.startswith("shapes-") and "/" not in name:
        return open_shapes(name, split, num_samples=num_samples)
    if name in DATASETS and not Path(name).exists():
        raise InputError(
            f"{name} must be prepared first: `ovlab data prepare {name} --source DIR --out URI`; give URI."
        )
    if "://" in name or (Path(name) / MANIFEST).is_file():
        dataset = open_shards(name)
        if dataset.split != split:
            raise InputError(f"{name}: holds the split {dataset.split!r}, not {split!r}.")
        return dataset
    return open_folder(Path(name), split)


def is_own_folder(place: str) -> bool:
    """Whether a folder of one's own lies there, and no prepared shards."""
    return "://" not in place and (Path(place) / CLASS_LIST).exists() and not (Path(place) / MANIFEST).is_file()
