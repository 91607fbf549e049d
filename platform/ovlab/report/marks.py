"""Which cells of a column are best and second, among those that can be compared.

Cells compete when they are of one column and one group of rows, of one origin, and carry the same remarks:

- quoted with quoted and measured with measured. A printed score has no images or seeds to hold against ours, and in
  the shapes suite it is another quantity. So in the paper suite the published rows are marked as the paper marks them,
  the published LoGoSeg among them, and the measured ones beside that.
- a remark on single cells says that the score means something else (another denominator, a set that was trained
  on). Those cells compete only when all cells with a value in that group, column and origin carry the same remarks;
  otherwise they have no mark, and the others compete without them.

The best is the highest value, and so is every cell that the noise does not tell from it: whose difference has an
interval (95 %, uncorrected) that holds zero, over seeds and images, or over images alone with one seed. Quoted scores
tie when they are equal. Second is the highest of the rest, with its ties, where at least three compete. One cell alone
is not marked.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Literal, TypeVar

Mark = Literal["best", "second"]
Key = TypeVar("Key", bound=Hashable)


def marks_among(ranks: Mapping[Key, float], is_tied: Callable[[Key, Key], bool]) -> dict[Key, Mark]:
    """The marks of cells that compete, by their key. `ranks`: the higher, the better."""
    if len(ranks) < 2:
        return {}
    ranked = sorted(ranks, key=lambda key: ranks[key], reverse=True)
    best, rest = _leaders(ranked, is_tied)
    second = _leaders(rest, is_tied)[0] if rest and len(ranks) > 2 else []
    return {**dict.fromkeys(best, "best"), **dict.fromkeys(second, "second")}


def comparable(remarks: Mapping[Key, frozenset[Hashable]]) -> list[Key]:
    """Those cells that may compete, given the remarks on each cell of a group, column and origin that has a value."""
    kinds = set(remarks.values())
    return list(remarks) if len(kinds) == 1 else [key for key, found in remarks.items() if not found]


def _leaders(ranked: list[Key], is_tied: Callable[[Key, Key], bool]) -> tuple[list[Key], list[Key]]:
    """The first with its ties, and the others, in order."""
    first = ranked[0]
    leaders = [key for key in ranked if key == first or is_tied(first, key)]
    return leaders, [key for key in ranked if key not in leaders]
