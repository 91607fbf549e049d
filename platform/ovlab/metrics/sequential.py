"""Looking early without more false verdicts: error that is spent in advance (Lan and DeMets, Biometrika 70, 1983).

Whoever tests at 5 % after 3, 5, 8, 12 and 20 seeds, and stops at the first find, finds a null effect in some 14 % of
cases. So each look has a level of its own, from a spending function: by the share t of the planned seeds, a test at
level a may have erred with probability

    a(t) = 4 - 4 Phi(z / sqrt(t)),   z = Phi^-1(1 - a / 4)

half of it to each side, which is like O'Brien and Fleming's boundary: next to nothing early, nearly all at the last
look. The boundaries follow from the density of a Brownian motion that has not crossed yet, integrated from look to look
(Armitage, McPherson and Rowe). Images that all looks share make them more alike than a Brownian motion is, which only
lowers the error.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from ovlab.specs.errors import InputError

LOOKS = (3, 5, 8, 12, 20)
# Of one row. What is above is a slip of the keyboard.
_MOST_SEEDS = 1000

_NUM_NODES = 256
# Beyond it there is no probability to speak of: 2e-15 of it is what ndtr can still tell from 0 with some digits.
_FARTHEST = 15.0


def planned_looks(max_seeds: int) -> tuple[int, ...]:
    """After how many seeds is looked, the last time after `max_seeds`. Raises InputError for fewer than two seeds, or
    more than anybody trains."""
    if not 2 <= max_seeds <= _MOST_SEEDS:
        raise InputError(
            f"--max-seeds must be in 2 .. {_MOST_SEEDS}, got {max_seeds}; one seed tells nothing of their noise."
        )
    return (*(look for look in LOOKS if look < max_seeds), max_seeds)


def spent(share: float, level: float) -> float:
    """The error that a test at `level` may have made by the `share` of the planned seeds."""
    return 4 * float(ndtr(ndtri(level / 4) / np.sqrt(share)))


@lru_cache(maxsize=256)
def boundaries(shares: Sequence[float], level: float) -> tuple[float, ...]:
    """How far from zero a standardised difference has to be at each look, two-sided. `shares` rise to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(_NUM_NODES)
    found: list[float] = []
    # Where the motion may be that has not crossed, and with what probability.
    places, masses = np.zeros(1), np.ones(1)
    before, already = 0.0, 0.0
    for share in shares:
        step, due = np.sqrt(share - before), spent(share, level)
        bound = _bound(places / step, masses, np.sqrt(share) / step, due - already)
        found.append(bound)
        reach = bound * np.sqrt(share)
        here = reach * nodes
        density = np.exp(-(((here[:, None] - places) / step) ** 2) / 2) @ masses / (step * np.sqrt(2 * np.pi))
        places, masses = here, reach * weights * density
        before, already = share, due
    return tuple(found)


def _bound(places: Float64[np.ndarray, "J"], masses: Float64[np.ndarray, "J"], scale: float, error: float) -> float:
    """Where the motion goes beyond with probability `error`; all lengths in steps of it."""

    def excess(bound: float) -> float:
        return float(masses @ (ndtr(places - bound * scale) + ndtr(-places - bound * scale))) - error

    # Where next to nothing is to be spent, as after 3 of 200 seeds, nothing is found.
    return _FARTHEST if excess(_FARTHEST) > 0 else float(brentq(excess, 0.0, _FARTHEST, xtol=1e-10))


def nominal_levels(looks: Sequence[int], level: float) -> tuple[float, ...]:
    """The level at which each look is tested, so that all of them together err with probability `level` at most."""
    shares = tuple(look / looks[-1] for look in looks)
    return tuple(2 * float(ndtr(-bound)) for bound in boundaries(shares, level))
