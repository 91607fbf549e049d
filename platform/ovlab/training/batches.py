"""Training batches from a position of the sample stream on, read ahead by threads.

What a batch holds depends on the seed and its position alone: the threads take samples in order and hand them over in
order, whichever is done first. Decoding and resizing leave Python's lock, so threads are enough.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from ovlab.datasets.augment import augment
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.sampler import sample_index
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError

# Batches that wait ready while one is trained on.
_NUM_BATCHES_AHEAD = 2


class Batch(NamedTuple):
    """B augmented samples. images: RGB in [0, 1]; labels: 0 .. N-1 or IGNORE_INDEX."""

    images: Float32[Tensor, "B 3 H W"]
    labels: Int64[Tensor, "B H W"]


class _Crop(NamedTuple):
    image: Float32[np.ndarray, "3 H W"]
    label: Int64[np.ndarray, "H W"]


def batches(
    dataset: SegmentationDataset,
    augmentation: AugmentationSpec,
    *,
    seed: int,
    batch_size: int,
    start_position: int,
    num_loader_workers: int,
    shard: range | None = None,
) -> Generator[Batch, None, None]:
    """Endless batches of the samples at start_position, start_position + 1, ... of the stream of `seed`.

    `shard` names the images of every batch that are wanted, of 0 .. batch_size - 1; None is all of them.
    With 0 workers a sample is read when it is asked for. The threads end when the iterator is closed or dropped. What
    reading raises comes out of `next`, at the batch it belongs to. Raises InputError for a data set without samples,
    a batch size below 1, a shard that is empty, and a start position or a number of workers below 0.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}.")
    if shard is not None and (not shard or shard[0] < 0 or shard[-1] >= batch_size):
        raise InputError(f"shard must hold some of the images 0 .. {batch_size - 1} of a batch, got {shard}.")
    if num_loader_workers < 0:
        raise InputError(f"num_loader_workers must be at least 0, got {num_loader_workers}.")
    sample_index(start_position, num_samples=len(dataset), seed=seed)  # refuses here what no batch can be made of

    def read(position: int) -> _Crop:
        index = sample_index(position, num_samples=len(dataset), seed=seed)
        sample = augment(dataset[index], augmentation, seed=seed, index=position)
        # NumPy, because torch would start threads of its own in every worker.
        image = np.ascontiguousarray(sample.image.transpose(2, 0, 1)) / np.float32(255)
        return _Crop(image, sample.label.astype(np.int64))

    shard = range(batch_size) if shard is None else shard
    positions = (first + offset for first in count(start_position, batch_size) for offset in shard)
    if num_loader_workers == 0:
        return _collate((read(position) for position in positions), len(shard))
    return _collate(_read_ahead(read, positions, num_loader_workers, _NUM_BATCHES_AHEAD * len(shard)), len(shard))


def _read_ahead(
    read: Callable[[int], _Crop], positions: Iterator[int], num_workers: int, num_ahead: int
) -> Generator[_Crop, None, None]:
    """The crops in the order of their positions, at most `num_ahead` of them begun and not handed over."""
    executor = ThreadPoolExecutor(num_workers, thread_name_prefix="loader")
    try:
        begun: deque[Future[_Crop]] = deque(
            executor.submit(read, position) for position in islice(positions, max(num_ahead, num_workers))
        )
        for position in positions:
            yield begun.popleft().result()
            begun.append(executor.submit(read, position))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _collate(crops: Generator[_Crop, None, None], batch_size: int) -> Generator[Batch, None, None]:
    with closing(crops):
        while True:
            images, labels = zip(*islice(crops, batch_size), strict=True)
            yield Batch(torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels)))
