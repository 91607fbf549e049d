import pytest

from ovlab.specs.errors import InputError
from ovlab.training.process_group import ALONE, ProcessGroup, require_shards


def member(rank: int, size: int) -> ProcessGroup:
    return ProcessGroup(rank=rank, size=size, parallel=ALONE.parallel, mean=ALONE.mean, broadcast=ALONE.broadcast)


@pytest.mark.parametrize(("batch_size", "size"), [(4, 1), (4, 2), (4, 4), (7, 3), (5, 4)])
def test_shards_hold_each_image_of_a_batch_once_and_differ_by_one_at_most(batch_size: int, size: int) -> None:
    shards = [member(rank, size).shard(batch_size) for rank in range(size)]

    assert [image for shard in shards for image in shard] == list(range(batch_size))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("num_workers", [1, 2, 3, 6, (1, 4), (2, 5)])
def test_workers_that_each_get_images_are_accepted(num_workers: int | tuple[int, int]) -> None:
    require_shards(6, num_workers)


@pytest.mark.parametrize(
    ("num_workers", "words"),
    [
        (4, "batch_size = 6 images equally; give one of 1, 2, 3, 6"),
        (12, "give one of 1, 2, 3, 6"),
        ((2, 7), "7 cannot share"),
        (0, "at least 1"),
        ((3, 2), "no more at least than at most"),
    ],
)
def test_workers_that_cannot_share_a_batch_are_refused(num_workers: int | tuple[int, int], words: str) -> None:
    with pytest.raises(InputError) as error:
        require_shards(6, num_workers)

    assert words in str(error.value)
    assert "\n" not in str(error.value)
