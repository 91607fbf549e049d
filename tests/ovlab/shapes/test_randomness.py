from collections import Counter

import numpy as np
import pytest

from ovlab.shapes.randomness import Draws, philox, random_bytes


def test_draws_same_arguments_same_numbers() -> None:
    first, second = Draws(7, 11, "scene"), Draws(7, 11, "scene")

    assert [first.below(1000) for _ in range(600)] == [second.below(1000) for _ in range(600)]


@pytest.mark.parametrize("other", [(8, 11, "scene"), (7, 12, "scene"), (7, 11, "noise")])
def test_draws_any_other_argument_gives_other_numbers(other: tuple[int, int, str]) -> None:
    first, second = Draws(7, 11, "scene"), Draws(*other)

    assert [first.below(2**16) for _ in range(8)] != [second.below(2**16) for _ in range(8)]


def test_below_reaches_every_value_and_no_other() -> None:
    draws = Draws(0, 0, "scene")

    counts = Counter(draws.below(5) for _ in range(2000))

    assert set(counts) == set(range(5))
    assert min(counts.values()) > 300  # 400 are expected; the standard deviation is 18


def test_uniform_stays_in_its_range_and_fills_it() -> None:
    draws = Draws(1, 0, "scene")

    numbers = np.array([draws.uniform(-2.0, 6.0) for _ in range(4000)])

    assert numbers.min() >= -2.0
    assert numbers.max() < 6.0
    assert numbers.mean() == pytest.approx(2.0, abs=0.2)


def test_pick_cumulative_follows_the_weights() -> None:
    draws = Draws(2, 0, "scene")

    counts = Counter(draws.pick_cumulative("abc", (1, 1 + 3, 1 + 3 + 6)) for _ in range(3000))

    assert counts["a"] == pytest.approx(300, abs=80)
    assert counts["b"] == pytest.approx(900, abs=120)
    assert counts["c"] == pytest.approx(1800, abs=120)


def test_shuffled_keeps_every_item_and_moves_them() -> None:
    orders = {Draws(3, index, "shuffle").shuffled("abcd") for index in range(400)}

    assert all(sorted(order) == list("abcd") for order in orders)
    assert len(orders) == 24


def test_random_bytes_are_the_raw_words_in_little_endian() -> None:
    words = philox(5, 6, "noise").random_raw(2).tolist()

    found = random_bytes(philox(5, 6, "noise"), 3, 4)

    expected = b"".join(word.to_bytes(8, "little") for word in words)[:12]
    assert found.tobytes() == expected
    assert found.shape == (3, 4)
