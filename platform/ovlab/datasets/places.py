"""Where data sets lie on this machine: `--data NAME=URI`, or $OVLAB_DATA/NAME. A spec knows their names only."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ovlab.datasets.catalog import DATASETS
from ovlab.datasets.manifest import MANIFEST
from ovlab.datasets.opening import MADE, open_dataset
from ovlab.datasets.sample import SegmentationDataset
from ovlab.files.storage import Folder
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES
from ovlab.specs.errors import InputError
from ovlab.specs.suite import TRAIN_SPLIT

VARIABLE = "OVLAB_DATA"


def parse_places(options: Iterable[str]) -> dict[str, str]:
    """The places by name, from options NAME=URI. Raises InputError for another form and for a name given twice."""
    places: dict[str, str] = {}
    for option in options:
        name, equals, uri = option.partition("=")
        if not (name and equals and uri):
            raise InputError(f"--data {option}: write NAME=URI, for example a-150=s3://bucket/a-150.")
        if places.setdefault(name, uri) != uri:
            raise InputError(f"--data {option}: {name} was given before as {places[name]}; give one place.")
    return places


def open_named(name: str, split: str, places: Mapping[str, str]) -> SegmentationDataset:
    """The split `split` of the data set `name`: read at its place or in a folder `split` there, or else painted; or
    what MADE makes of its training split.

    Raises InputError where it is not, or where what lies there calls itself otherwise.
    """
    if split in MADE:
        return MADE[split](open_named(name, TRAIN_SPLIT, places))
    if name in SHAPES_NAMES and name not in places:
        return open_dataset(name, split)
    place = _place(name, places)
    below = f"{place.rstrip('/')}/{split}"
    is_below = MANIFEST not in Folder(place).sizes() and MANIFEST in Folder(below).sizes()
    dataset = open_dataset(below if is_below else place, split)
    if dataset.name != name:
        raise InputError(f"{place}: holds the data set {dataset.name!r}, not {name!r}. Give the place of {name}.")
    return dataset


def _place(name: str, places: Mapping[str, str]) -> str:
    if name in places:
        return places[name]
    root = os.environ.get(VARIABLE)
    if root is None:
        obtain = f" `ovlab data list {name}` says how it is obtained." if name in DATASETS else ""
        raise InputError(
            f"{name}: no place is known for it. Give --data {name}=URI, or set {VARIABLE} to its parent.{obtain}"
        )
    if "://" in root:
        return f"{root.rstrip('/')}/{name}"
    return str(Path(root) / name)
