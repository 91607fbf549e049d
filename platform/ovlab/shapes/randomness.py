"""Random numbers that are the same on every platform and for every release of NumPy.

Philox is counter based: key = (seed, index) and one counter block per purpose give streams that never meet. Only its
raw 64-bit words are used, because NumPy promises those and not the streams of its distributions; a word becomes a
number by integer operations and one exact multiplication.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, TypeVar, no_type_check

import numpy as np
from jaxtyping import UInt8
from numpy.random import Philox

Purpose = Literal["scene", "noise", "caption", "close_up", "texture", "shuffle"]
_PURPOSES: tuple[Purpose, ...] = ("scene", "noise", "caption", "close_up", "texture", "shuffle")
_BLOCK = 256

Item = TypeVar("Item")


@no_type_check  # a scene takes some three hundred numbers: checking each at run time would take longer than painting
class Draws:
    """The stream of (seed, index, purpose); every call takes one word of it."""

    def __init__(self, seed: int, index: int, purpose: Purpose) -> None:
        self._generator = philox(seed, index, purpose)
        self._words: list[int] = []

    def below(self, limit: int) -> int:
        """An integer in 0 .. limit - 1, for limits far below 2 ** 32."""
        return (self._word() >> 32) * limit >> 32

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * ((self._word() >> 11) * 2.0**-53)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.below(100) < percent

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[self.below(len(items))]

    def pick_cumulative(self, items: Sequence[Item], cumulative: Sequence[int]) -> Item:
        """One of the items, by running totals of positive integer weights."""
        return items[bisect_right(cumulative, self.below(cumulative[-1]))]

    def shuffled(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """All items in random order (Fisher-Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return tuple(result)

    def _word(self) -> int:
        if not self._words:
            self._words = self._generator.random_raw(_BLOCK).tolist()
        return self._words.pop()


def philox(seed: int, index: int, purpose: Purpose) -> Philox:
    """The bit generator of one stream. seed and index: 0 .. 2 ** 64 - 1."""
    return Philox(key=np.array([seed, index], np.uint64), counter=[0, 0, 0, _PURPOSES.index(purpose)])


def random_bytes(generator: Philox, *shape: int) -> UInt8[np.ndarray, "..."]:
    """Bytes in little-endian order of the raw words, whatever the byte order of the machine."""
    size = int(np.prod(shape))
    words = generator.random_raw(-(-size // 8)).astype("<u8")
    return words.view(np.uint8)[:size].reshape(shape)
