"""From samples of an original download to one finished shard and the record of what is in it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from ovlab.datasets.encoding import count_labels, encode_label, image_size, sample_digest
from ovlab.datasets.manifest import IndexEntry, ShardEntry, to_json
from ovlab.datasets.original import OriginalSplit
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.shards import Row, pack_shard, shard_name
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

# Where the records are until the manifest is written.
UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """What a worker needs to know to make any shard of a preparation."""

    split: OriginalSplit
    folder: Folder
    num_samples_per_shard: int
    skip_bad: bool

    @property
    def num_shards(self) -> int:
        return -(-len(self.split.sample_ids) // self.num_samples_per_shard)

    def sample_ids(self, shard: int) -> tuple[str, ...]:
        start = shard * self.num_samples_per_shard
        return tuple(self.split.sample_ids[start : start + self.num_samples_per_shard])


class BadSample(NamedTuple):
    """A sample that was left out, and the one line that says why."""

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRecord:
    """A finished shard: its file, its samples, the pixels of each class, and the samples that were left out."""

    index: int
    entry: ShardEntry
    samples: tuple[IndexEntry, ...]
    class_pixels: tuple[int, ...]
    num_ignored_pixels: int
    bad: tuple[BadSample, ...]


class PackedSample(NamedTuple):
    row: Row
    digest: str
    label_counts: Int64[np.ndarray, "65536"]


def record_name(shard: int) -> str:
    return f"{UNFINISHED}/{shard:05d}.json"


def record_from_json(value: dict[str, Any]) -> ShardRecord:
    return ShardRecord(
        index=value["index"],
        entry=ShardEntry(**value["entry"]),
        samples=tuple(IndexEntry(*entry) for entry in value["samples"]),
        class_pixels=tuple(value["class_pixels"]),
        num_ignored_pixels=value["num_ignored_pixels"],
        bad=tuple(BadSample(*bad) for bad in value["bad"]),
    )


def write_shard(packing: Packing, shard: int) -> ShardRecord:
    """Read, check and pack the samples of one shard; write it, then its record.

    Raises the InputError of the first bad sample, with nothing written, unless the packing skips bad ones.
    """
    samples: list[IndexEntry] = []
    bad: list[BadSample] = []
    counts = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)

    def rows() -> Iterator[Row]:
        for sample_id in packing.sample_ids(shard):
            try:
                packed = pack_sample(packing.split, sample_id)
            except InputError as error:
                if not packing.skip_bad:
                    raise
                bad.append(BadSample(sample_id, str(error)))
                continue
            samples.append(IndexEntry(sample_id, packed.row.height, packed.row.width, packed.digest))
            counts.__iadd__(packed.label_counts)
            yield packed.row

    content = pack_shard(rows())
    name = shard_name(shard)
    packing.folder.write(name, content)
    record = ShardRecord(
        index=shard,
        entry=ShardEntry(
            file=name,
            sha256=hashlib.sha256(content).hexdigest(),
            num_samples=len(samples),
            num_bytes=len(content),
        ),
        samples=tuple(samples),
        class_pixels=tuple(counts[: len(packing.split.class_names)].tolist()),
        num_ignored_pixels=int(counts[IGNORE_INDEX]),
        bad=tuple(bad),
    )
    packing.folder.write(record_name(shard), to_json(record))
    return record


def pack_sample(split: OriginalSplit, sample_id: str) -> PackedSample:
    """Read one sample, and make sure that it fits what the manifest will say.

    Raises the reader's InputError, and one naming the sample when its two sizes differ or when the label holds a
    value that is no class. That the photograph decodes is the reader's promise.
    """
    pair = split.read(sample_id)
    name = f"{split.name} {split.split}, {sample_id}"
    size = image_size(pair.image_bytes, name)
    if size != pair.label.shape:
        raise InputError(f"{name}: the image is {size}, its label {pair.label.shape}; height and width must be equal.")
    counts = count_labels(pair.label)
    num_classes = len(split.class_names)
    unknown = np.flatnonzero(counts[num_classes:IGNORE_INDEX]) + num_classes
    if unknown.size:
        raise InputError(
            f"{name}: label values {unknown[:8].tolist()} are no classes; allowed are 0..{num_classes - 1} "
            f"and {IGNORE_INDEX} for ignored."
        )
    height, width = pair.label.shape
    row = Row(sample_id, pair.image_bytes, encode_label(pair.label, num_classes), height, width)
    return PackedSample(row, sample_digest(pair.image_bytes, pair.label), counts)
