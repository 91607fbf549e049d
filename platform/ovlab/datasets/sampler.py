"""The order in which training sees its samples: an endless stream in which every position can be looked up.

Position p is the sample at offset p mod n of a permutation of 0 .. n-1 that depends on the seed and on the epoch
p div n alone. So a resumed run continues at its exact sample, and any process can read any part of the stream.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64

from ovlab.specs.errors import InputError

# The last word of Philox's counter. Augmentation uses 0, so equal keys do not give equal numbers.
_SAMPLER_STREAM = 1


def sample_index(position: int, *, num_samples: int, seed: int) -> int:
    """Which of `num_samples` samples stands at `position` (0, 1, ...) of the stream of `seed`.

    Each epoch of `num_samples` positions holds every sample once. Raises InputError for a data set without samples,
    a negative position and a seed outside 0 .. 2**64 - 1.
    """
    if num_samples < 1:
        raise InputError(f"cannot draw from {num_samples} samples; give a split that holds at least one.")
    if position < 0:
        raise InputError(f"a position of the sample stream must be at least 0, got {position}.")
    if not 0 <= seed < 2**64:
        raise InputError(f"seed must be in 0 .. 2**64 - 1, got {seed}.")
    epoch, offset = divmod(position, num_samples)
    return int(_permutation(epoch, num_samples, seed)[offset])


@lru_cache(maxsize=2)  # a reader that runs ahead looks into two epochs at once
def _permutation(epoch: int, num_samples: int, seed: int) -> Int64[np.ndarray, "n"]:
    """Sorted by one random number each: Philox's doubles are fixed, numpy's own shuffles may change by version."""
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, _SAMPLER_STREAM]))
    return np.argsort(generator.random(num_samples), kind="stable")
