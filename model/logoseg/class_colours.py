"""Colours of classes that one tells apart within a picture."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

# So many classes of a picture are told apart with ease.
NUM_APART = 16

# In CIEDE2000 any two of the first 16 are 26 apart, and 13 where half of each is one grey; any two of all 13.
COLOURS: UInt8[np.ndarray, "48 3"] = np.frombuffer(
    bytes.fromhex(
        "00748b ff008b ffd100 5d2e00 00ffff 004617 00ff17 ffb9a2 e82e00 17a274 741746 0000e8 "
        "ffb9ff 8b7400 46b9ff 8b74ff b9d1a2 e88b00 745d8b 74a200 a25d5d 004674 b900d1 5d7446 "
        "8b0017 d18ba2 b9a274 ff46ff 1774d1 74b9b9 a25d17 00ffb9 a2a2d1 464600 ffe8b9 d1e846 "
        "462e74 ff7474 a2e8ff 00745d 008b17 e80046 b91774 b98b74 b9a200 ff742e b974b9 b9d1ff"
    ),
    np.uint8,
).reshape(-1, 3)


def class_colours(num_classes: int, present: Iterable[int]) -> UInt8[np.ndarray, "N 3"]:
    """A colour for each of `num_classes`, chosen for a picture that holds the classes `present`.

    Of those each has its own: the first 16 from colours that are far apart, the next 32 from what is left. A class has
    the colour of its number, in every picture, unless one that stands before it in `present` has it already.
    """
    chosen = np.arange(num_classes) % len(COLOURS)
    taken: set[int] = set()
    for rank, number in enumerate(present):
        free = (place % NUM_APART for place in range(number, number + NUM_APART) if place % NUM_APART not in taken)
        chosen[number] = next(free, rank % len(COLOURS))
        taken.add(int(chosen[number]))
    return COLOURS[chosen]
