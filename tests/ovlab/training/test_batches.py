"""Training batches: the same for any number of workers and after any resume, and no thread is left behind."""

import threading
import time
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
import torch

from names_alone import NamesAlone
from ovlab.datasets.augment import augment
from ovlab.datasets.sample import IGNORE_INDEX, Sample
from ovlab.datasets.sampler import sample_index
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.training.batches import Batch, batches

SPEC = AugmentationSpec(crop_size=(16, 24), scale_range=(0.5, 2.0))


@dataclass
class Noise(NamesAlone):
    """Photographs of noise, read the slower the smaller their number, so that workers overtake one another."""

    num_samples: int = 10
    broken: int | None = None
    num_read: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    name: str = "noise"
    class_names: tuple[str, ...] = ("a", "b", "c")

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return tuple(str(index) for index in range(self.num_samples))

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> Sample:
        with self.lock:
            self.num_read += 1
        time.sleep(0.0005 * (self.num_samples - index))
        if index == self.broken:
            raise InputError(f"sample {index} is broken; replace it.")
        generator = np.random.default_rng(index)
        label = generator.integers(0, 3, (20, 30)).astype(np.uint16)
        label[0] = IGNORE_INDEX
        return Sample(str(index), generator.integers(0, 256, (20, 30, 3), dtype=np.uint8), label)


def first(count: int, *, start_position: int = 0, num_loader_workers: int = 0, batch_size: int = 4) -> list[Batch]:
    stream = batches(
        Noise(),
        SPEC,
        seed=3,
        batch_size=batch_size,
        start_position=start_position,
        num_loader_workers=num_loader_workers,
    )
    found = list(islice(stream, count))
    stream.close()
    return found


def assert_equal(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def num_loader_threads() -> int:
    return sum(thread.name.startswith("loader") for thread in threading.enumerate())


def test_batch_holds_the_augmented_samples_of_its_positions() -> None:
    dataset = Noise()
    second = first(2)[1]

    assert second.images.shape == (4, 3, 16, 24)
    assert second.images.dtype == torch.float32
    assert second.labels.dtype == torch.int64
    for place, position in enumerate(range(4, 8)):
        index = sample_index(position, num_samples=10, seed=3)
        sample = augment(dataset[index], SPEC, seed=3, index=position)
        image = torch.tensor(sample.image.tolist()).permute(2, 0, 1) / 255
        torch.testing.assert_close(second.images[place], image)
        assert second.labels[place].tolist() == sample.label.tolist()


@pytest.mark.parametrize("num_loader_workers", [1, 2, 7])
def test_batches_are_equal_for_any_number_of_workers(num_loader_workers: int) -> None:
    assert_equal(first(6, num_loader_workers=num_loader_workers), first(6))


@pytest.mark.parametrize("num_loader_workers", [0, 2])
def test_batches_resumed_continue_with_the_same_samples(num_loader_workers: int) -> None:
    resumed = first(3, start_position=12, num_loader_workers=num_loader_workers)

    assert_equal(resumed, first(6)[3:])


def test_batches_of_another_size_hold_the_same_stream() -> None:
    assert torch.equal(torch.cat([b.images for b in first(6)]), torch.cat([b.images for b in first(3, batch_size=8)]))


@pytest.mark.parametrize("num_loader_workers", [0, 3])
def test_batches_error_of_a_reader_comes_out_at_its_batch(num_loader_workers: int) -> None:
    order = [sample_index(position, num_samples=10, seed=3) for position in range(10)]
    stream = batches(
        Noise(broken=order[5]),
        SPEC,
        seed=3,
        batch_size=4,
        start_position=0,
        num_loader_workers=num_loader_workers,
    )

    next(stream)
    with pytest.raises(InputError, match=f"sample {order[5]} is broken"):
        next(stream)
    assert num_loader_threads() == 0


def test_batches_closed_leave_no_thread_behind() -> None:
    stream = batches(Noise(), SPEC, seed=3, batch_size=4, start_position=0, num_loader_workers=2)
    next(stream)
    assert num_loader_threads() == 2

    stream.close()

    assert num_loader_threads() == 0


def test_batches_dropped_leave_no_thread_behind() -> None:
    stream = batches(Noise(), SPEC, seed=3, batch_size=4, start_position=0, num_loader_workers=2)
    next(stream)

    del stream

    assert num_loader_threads() == 0


def test_batches_read_ahead_is_bounded() -> None:
    dataset = Noise()
    stream = batches(dataset, SPEC, seed=3, batch_size=4, start_position=0, num_loader_workers=2)
    next(stream)
    time.sleep(0.2)

    assert dataset.num_read == 4 + 2 * 4 - 1  # the batch itself, and two ahead less the sample not asked for yet
    stream.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"num_loader_workers": -1}, "num_loader_workers"),
        ({"start_position": -1}, "position"),
        ({"dataset": Noise(num_samples=0)}, "0 samples"),
    ],
)
def test_batches_of_impossible_values_are_refused_at_once(change: dict[str, object], says: str) -> None:
    arguments = {
        "dataset": Noise(),
        "augmentation": SPEC,
        "seed": 0,
        "batch_size": 4,
        "start_position": 0,
        "num_loader_workers": 0,
    }

    with pytest.raises(InputError, match=says):
        batches(**(arguments | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("num_loader_workers", [0, 2])
def test_batches_of_shares_hold_the_images_of_the_whole_batches(num_loader_workers: int) -> None:
    whole = first(3, start_position=8, batch_size=5)
    shares = []
    for share in (range(2), range(2, 5)):
        stream = batches(
            Noise(),
            SPEC,
            seed=3,
            batch_size=5,
            start_position=8,
            num_loader_workers=num_loader_workers,
            shard=share,
        )
        shares.append(list(islice(stream, 3)))
        stream.close()

    for batch, *parts in zip(whole, *shares, strict=True):
        assert torch.equal(batch.images, torch.cat([part.images for part in parts]))
        assert torch.equal(batch.labels, torch.cat([part.labels for part in parts]))


@pytest.mark.parametrize("share", [range(0), range(2, 6)])
def test_batches_of_a_share_outside_the_batch_are_refused(share: range) -> None:
    with pytest.raises(InputError, match="shard must hold"):
        batches(Noise(), SPEC, seed=3, batch_size=5, start_position=0, num_loader_workers=0, shard=share)
