"""What a model is asked for on a data set, and what its labels mean: usually the same names, not always.

The names of a benchmark come with synonyms, and PAS-20b asks for more names than it scores: those beyond its background
all mean background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ovlab.specs.evaluation import Collapse
from ovlab.specs.fingerprint import fingerprint


@dataclass(frozen=True, eq=False, slots=True)
class LabelSpace:
    """asked: the synonyms of every name the model is asked for. scored: the names of the label values.
    seen: for each label value, whether training has named it; None where that is not known."""

    asked: tuple[tuple[str, ...], ...]
    scored: tuple[str, ...]
    seen: Bool[np.ndarray, "N"] | None = None
    collapse: Collapse | None = None

    @property
    def digest(self) -> str:
        """64 hexadecimal digits over the names asked for, the meaning of the labels, and which of them are seen."""
        seen = None if self.seen is None else self.seen.tolist()
        return fingerprint({"asked": self.asked, "scored": self.scored, "seen": seen, "collapse": self.collapse})


def plain_labels(class_names: Sequence[str]) -> LabelSpace:
    """Each name is asked for as it is, and scored; nothing is known of training."""
    return LabelSpace(asked=tuple((name,) for name in class_names), scored=tuple(class_names))
