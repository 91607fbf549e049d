"""Whether the bytes of a prepared split are those that were prepared, sample by sample."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import UInt16

from ovlab.datasets.encoding import count_labels, sample_digest
from ovlab.datasets.manifest import IndexEntry, content_digest, names_digest
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.sharded import ShardedDataset
from ovlab.datasets.shards import Row, Shard
from ovlab.specs.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is wrong, with which file, and with which sample where one can be told."""

    file: str
    sample_id: str | None
    message: str

    def __str__(self) -> str:
        sample = f", sample {self.sample_id}" if self.sample_id is not None else ""
        return f"{self.file}{sample}: {self.message}"


def manifest_problems(dataset: ShardedDataset) -> list[str]:
    """Where the manifest contradicts itself or its index, one line each."""
    manifest, identity = dataset.manifest, dataset.manifest.identity
    num_in_shards = sum(shard.num_samples for shard in manifest.shards)
    problems = []
    if names_digest(identity.class_names) != identity.class_names_digest:
        problems.append("the digest of the class names is not theirs")
    if len(manifest.class_pixels) != len(identity.class_names):
        problems.append(f"{len(manifest.class_pixels)} classes in the histogram, {len(identity.class_names)} names")
    if num_in_shards != manifest.num_samples:
        problems.append(f"{num_in_shards} samples in the shards, {manifest.num_samples} in the manifest")
    if len(dataset.index) != manifest.num_samples:
        problems.append(f"{len(dataset.index)} samples in the index, {manifest.num_samples} in the manifest")
    if content_digest(dataset.index) != manifest.content_digest:
        problems.append("the content digest is not that of the index")
    return problems


def check_shard(dataset: ShardedDataset, shard: int) -> Iterator[UInt16[np.ndarray, "_ _"] | Problem]:
    """The label of every sample of a shard that is as it was prepared, and a Problem for everything that is not."""
    entry = dataset.manifest.shards[shard]
    try:
        content = dataset.folder.read(entry.file)
    except InputError as error:
        yield Problem(file=entry.file, sample_id=None, message=str(error))
        return
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        message = f"{len(content)} bytes with another sha256 than the manifest's ({entry.num_bytes} bytes)"
        yield Problem(file=entry.file, sample_id=None, message=message)
    try:
        opened = Shard(pa.BufferReader(content), entry.file)
    except InputError as error:
        yield Problem(file=entry.file, sample_id=None, message=str(error))
        return
    expected = dataset.index_of_shard(shard)
    if len(opened) != len(expected):
        yield Problem(file=entry.file, sample_id=None, message=f"{len(opened)} samples, the index says {len(expected)}")
    for position in range(min(len(opened), len(expected))):
        try:
            yield _checked(opened.row(position), expected[position], dataset.class_names)
        except InputError as error:
            yield Problem(file=entry.file, sample_id=expected[position].id, message=str(error))


def _checked(row: Row, expected: IndexEntry, class_names: Sequence[str]) -> UInt16[np.ndarray, "H W"]:
    sample = row.decode()
    unknown = np.flatnonzero(count_labels(sample.label)[len(class_names) : IGNORE_INDEX]) + len(class_names)
    if unknown.size:
        raise InputError(f"label values {unknown[:8].tolist()} are no classes; there are {len(class_names)}")
    found = IndexEntry(row.id, row.height, row.width, sample_digest(row.image, sample.label))
    for name, before, now in zip(IndexEntry._fields, expected, found, strict=True):
        if before != now:
            raise InputError(f"{name} is {now}, the index says {before}")
    if sample.label.shape != (row.height, row.width):
        raise InputError(f"the label is {sample.label.shape}, its row says {(row.height, row.width)}")
    return sample.label
