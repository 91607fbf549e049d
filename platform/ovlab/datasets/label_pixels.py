"""How many pixels of a split each class has: what a score is of, and whether the labels mean what they should.

Masks of 0 and 255 for two classes are the classical slip: 255 is "ignore this pixel" unless classes.json says
otherwise, so that one class is left, and everything scores 100.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ovlab.specs.wording import first_names, percent

# Above this share of the pixels, ignoring needs to be asked for where a class has none.
MUCH_IGNORED = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPixels:
    """of_classes: in the order of the names. num_ignored: those that have no class; None where that is not known."""

    class_names: tuple[str, ...]
    of_classes: tuple[int, ...]
    num_ignored: int | None

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes without a pixel."""
        return tuple(name for name, pixels in zip(self.class_names, self.of_classes, strict=True) if not pixels)

    @property
    def ignored_share(self) -> float | None:
        if self.num_ignored is None:
            return None
        return self.num_ignored / max(1, self.num_ignored + sum(self.of_classes))

    @property
    def is_swallowed(self) -> bool:
        """Whether a class has no pixel where much is ignored, or where no more than one has any beside what is."""
        much = (self.ignored_share or 0) > MUCH_IGNORED
        return bool(self.absent and self.num_ignored and (much or len(self.absent) >= len(self.class_names) - 1))

    def __str__(self) -> str:
        num_present = len(self.class_names) - len(self.absent)
        never = f" (never {names_of(self.absent)})" if self.absent else ""
        ignored = "" if self.num_ignored is None else f"; {percent(self.ignored_share, 2)} % of the pixels are ignored"
        return f"{num_present} of {len(self.class_names)} classes occur{never}{ignored}"


def names_of(classes: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    return first_names([repr(name) for name in classes], most=8)
