"""When a training is scored on its way, and on what; and what was told of the weights that scored best."""

import json
from dataclasses import dataclass
from pathlib import Path

from ovlab.specs.errors import InputError
from ovlab.specs.events import Validated

# In the run folder, beside the last weights: those that scored best, and how.
BEST_WEIGHTS, BEST_SCORE = "best.safetensors", "best.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """After every `every` updates and the last, on the first `num_images` of a split of the data at `place`, seen whole
    at the model's size. Where workers share the training, one of them scores and the others wait."""

    every: int
    place: str
    split: str
    num_images: int

    def __post_init__(self) -> None:
        for option, value in (("every", self.every), ("images", self.num_images)):
            if value < 1:
                raise InputError(f"--validate-{option} must be at least 1, got {value}.")


def read_best(folder: Path) -> Validated | None:
    """How the best weights of a run folder scored; None where there are none."""
    try:
        return Validated(**json.loads((folder / BEST_SCORE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
