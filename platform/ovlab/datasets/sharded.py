"""Reading a prepared split: in any order for training, or from front to back for evaluation."""

import hashlib
import os
import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import accumulate

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from ovlab.datasets.catalog import named_labels
from ovlab.datasets.encoding import sample_digest
from ovlab.datasets.label_pixels import LabelPixels
from ovlab.datasets.label_space import LabelSpace
from ovlab.datasets.manifest import IndexEntry, Manifest, load_index, load_manifest, names_digest
from ovlab.datasets.sample import Sample
from ovlab.datasets.shards import Row, Shard
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import SynonymRule
from ovlab.specs.fingerprint import fingerprint

# An open shard holds one file and the parsed footer of 64 samples, some 0.4 MB; its samples are not kept.
MAX_OPEN_SHARDS = 64


class ShardedDataset:
    """A prepared split as a SegmentationDataset. `dataset[i]` reads and decodes the bytes of sample i alone.

    Safe in several threads. Pickled and forked copies open their own files. A checksum that does not hold raises
    InputError naming shard and row, and so does a sample that is not the one of the index.
    """

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        # The index of the first sample after each shard.
        self._ends = list(accumulate(shard.num_samples for shard in manifest.shards))
        self._forget_open_shards()

    @property
    def name(self) -> str:
        return self.manifest.identity.name

    @property
    def split(self) -> str:
        return self.manifest.identity.split

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.manifest.identity.class_names

    @cached_property
    def index(self) -> list[IndexEntry]:
        """Id, height, width and digest of every sample, read once."""
        return load_index(self.folder, self.manifest)

    @cached_property
    def sample_ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.index)

    @property
    def seen(self) -> Bool[np.ndarray, "N"] | None:
        return self.label_space("first").seen

    @property
    def digest(self) -> str:
        """Over all pixels, without reading one: not over the manifest's bytes, since the same samples in larger shards
        are the same data."""
        names = names_digest(self.class_names)
        return fingerprint({"kind": "shards", "content": self.manifest.content_digest, "class_names": names})

    @property
    def shapes(self) -> Sequence[tuple[int, int]]:
        return [(entry.height, entry.width) for entry in self.index]

    def label_pixels(self) -> LabelPixels:
        """As the manifest has them."""
        return LabelPixels(
            class_names=self.class_names,
            of_classes=self.manifest.class_pixels,
            num_ignored=self.manifest.num_ignored_pixels,
        )

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        """That of the benchmark of its name, or its class names."""
        return named_labels(self.name, self.class_names, synonyms)

    def __len__(self) -> int:
        return self.manifest.num_samples

    def __getitem__(self, index: int) -> Sample:
        row = self.row(index)
        sample, entry = row.decode(), self.index[index]
        # A page bears a checksum, but not which row it is of.
        if (row.id, sample_digest(row.image, sample.label)) != (entry.id, entry.digest):
            raise InputError(f"{self.folder}, sample {entry.id}: damaged. `ovlab data verify` says where.")
        return sample

    def row(self, index: int) -> Row:
        """Sample `index` as it is stored, with nothing decoded. Raises IndexError outside 0 .. len - 1."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder}: no sample {index}; it has {len(self)}")
        shard = bisect_right(self._ends, index)
        return self._open_shard(shard).row(index - self._start(shard))

    def index_of_shard(self, shard: int) -> list[IndexEntry]:
        return self.index[self._start(shard) : self._ends[shard]]

    def shard_rows(self, shard: int) -> Iterator[Row]:
        """All rows of one shard, fetched as a whole and checked against the manifest's sha256."""
        entry = self.manifest.shards[shard]
        content = self.folder.read(entry.file)
        place = self.folder.locate(entry.file)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise InputError(f"{place}: damaged (its sha256 is not the manifest's). `ovlab data verify` says where.")
        opened = Shard(pa.BufferReader(content), place)
        return (opened.row(row) for row in range(len(opened)))

    def __reduce__(self) -> tuple[type["ShardedDataset"], tuple[Folder, Manifest]]:
        return ShardedDataset, (self.folder, self.manifest)

    def _start(self, shard: int) -> int:
        return self._ends[shard] - self.manifest.shards[shard].num_samples

    def _open_shard(self, shard: int) -> Shard:
        if os.getpid() != self._pid:
            # After a fork: the parent's connections, and perhaps a lock that one of its threads held.
            self._forget_open_shards()
        with self._lock:
            opened = self._opened.pop(shard, None)
            if opened is None:
                entry = self.manifest.shards[shard]
                file = self.folder.open(entry.file, entry.num_bytes)
                opened = Shard(file, self.folder.locate(entry.file))
            self._opened[shard] = opened
            if len(self._opened) > MAX_OPEN_SHARDS:
                self._opened.popitem(last=False)
            return opened

    def _forget_open_shards(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._opened: OrderedDict[int, Shard] = OrderedDict()


def open_shards(uri: str) -> ShardedDataset:
    """The split prepared in `uri`, a folder or s3://bucket/prefix. Raises InputError where there is none."""
    folder = Folder(uri)
    return ShardedDataset(folder, load_manifest(folder))


def stream(uri: str, *, shards: Sequence[int] | None = None, num_threads: int = 2) -> Iterator[Sample]:
    """The samples of `uri` in order, or of the given shards in the order given, decoded by `num_threads` threads.

    At most two shards and 2 * num_threads decoded samples are in memory. Every shard is checked before its first
    sample is given out.
    """
    dataset = open_shards(uri)
    chosen = range(len(dataset.manifest.shards)) if shards is None else shards
    with ThreadPoolExecutor(1) as fetcher, ThreadPoolExecutor(num_threads) as decoders:
        decoding: deque[Future[Sample]] = deque()
        for rows in _one_ahead(fetcher, dataset, chosen):
            for row in rows:
                decoding.append(decoders.submit(row.decode))
                if len(decoding) > 2 * num_threads:
                    yield decoding.popleft().result()
        while decoding:
            yield decoding.popleft().result()


def _one_ahead(fetcher: ThreadPoolExecutor, dataset: ShardedDataset, shards: Sequence[int]) -> Iterator[Iterator[Row]]:
    """The rows of each shard, with the next shard being fetched meanwhile."""
    waiting: deque[Future[Iterator[Row]]] = deque()
    for shard in shards:
        waiting.append(fetcher.submit(dataset.shard_rows, shard))
        if len(waiting) > 1:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
