import pytest

from ovlab.specs.errors import InputError
from ovlab.training.process_group import ALONE, Team, require_shares


def member(rank: int, size: int) -> Team:
    return Team(rank=rank, size=size, parallel=ALONE.parallel, mean=ALONE.mean, agree=ALONE.agree)


@pytest.mark.parametrize(("batch_size", "size"), [(4, 1), (4, 2), (4, 4), (7, 3), (5, 4)])
def test_shares_hold_each_image_of_a_batch_once_and_differ_by_one_at_most(batch_size: int, size: int) -> None:
    shares = [member(rank, size).share(batch_size) for rank in range(size)]

    assert [image for share in shares for image in share] == list(range(batch_size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("num_workers", [1, 2, 3, 6, (1, 4), (2, 5)])
def test_workers_that_each_get_images_are_accepted(num_workers: int | tuple[int, int]) -> None:
    require_shares(6, num_workers)


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
        require_shares(6, num_workers)

    assert words in str(error.value)
    assert "\n" not in str(error.value)
