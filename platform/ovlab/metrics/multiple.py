"""Many comparisons at once: Holm's step-down correction (Holm, Scand. J. Statist. 6, 1979).

Twenty comparisons at the 5 % level find one difference where there is none. The adjusted values keep the chance of
even one such find below the level, whatever the comparisons have in common.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values in the given order: the k-th smallest of m is max over j <= k of (m - j + 1) p_(j), at most 1.

    Raises ValueError for a value outside 0 .. 1.
    """
    for value in p_values:
        if not 0 <= value <= 1:
            raise ValueError(f"a p-value must be in 0 .. 1, got {value}.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
