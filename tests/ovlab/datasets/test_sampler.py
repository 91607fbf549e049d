"""The sample stream: every epoch is a permutation, and every position can be looked up."""

import subprocess
import sys

import pytest

from ovlab.datasets.sampler import sample_index
from ovlab.specs.errors import InputError


def stream(positions: range, num_samples: int, seed: int) -> list[int]:
    return [sample_index(position, num_samples=num_samples, seed=seed) for position in positions]


@pytest.mark.parametrize("num_samples", [1, 2, 7, 100])
def test_stream_every_epoch_holds_every_sample_once(num_samples: int) -> None:
    for epoch in range(4):
        drawn = stream(range(epoch * num_samples, (epoch + 1) * num_samples), num_samples, seed=3)

        assert sorted(drawn) == list(range(num_samples))


def test_stream_epochs_and_seeds_differ_in_order() -> None:
    first, second = stream(range(50), 50, seed=0), stream(range(50, 100), 50, seed=0)

    assert first != second
    assert first != stream(range(50), 50, seed=1)


def test_stream_resumed_anywhere_continues_with_the_same_samples() -> None:
    whole = stream(range(60), 13, seed=5)

    for start in (0, 1, 12, 13, 14, 40):
        assert stream(range(start, 60), 13, seed=5) == whole[start:]


def test_stream_read_backwards_gives_the_same_samples() -> None:
    assert stream(range(59, -1, -1), 13, seed=5) == stream(range(60), 13, seed=5)[::-1]


def test_stream_in_another_process_is_the_same() -> None:
    code = (
        "from ovlab.datasets.sampler import sample_index as s; print([s(p, num_samples=9, seed=4) for p in range(20)])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == str(stream(range(20), 9, seed=4))


def test_stream_first_places_are_shared_evenly_among_samples() -> None:
    num_seeds = 3000
    drawn = [sample_index(0, num_samples=3, seed=seed) for seed in range(num_seeds)]

    for sample in range(3):
        # binomial with standard deviation below 26: five of them
        assert abs(drawn.count(sample) - num_seeds / 3) < 130


@pytest.mark.parametrize(("position", "num_samples", "seed"), [(0, 0, 0), (-1, 3, 0), (0, 3, -1), (0, 3, 2**64)])
def test_stream_of_impossible_values_is_refused(position: int, num_samples: int, seed: int) -> None:
    with pytest.raises(InputError):
        sample_index(position, num_samples=num_samples, seed=seed)
