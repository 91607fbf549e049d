"""The scores of an evaluation, best known first, each declared once: its name, its direction and its definition.

`of` makes a score from the class totals of B sets of images (`ovlab.metrics.class_totals.ClassTotals`), as B fractions,
NaN where there is nothing to average: one set is an evaluation, two thousand are its bootstrap, and as many as there
are images are those images alone. The totals bring what a definition needs, so that this file imports no NumPy, and
tables and --help know every score without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """`name`: in records, tables and on the command line; `title`: for people. The ground truth itself scores 1, or 0
    where lower is better. needs_seen: which classes training has named has to be known."""

    name: str
    title: str
    of: Callable[[Any], Any]
    lower_is_better: bool = False
    needs_seen: bool = False


SCORES: dict[str, Score] = {}


def declare(score: Score) -> Score:
    """Add a score to SCORES. Raises ValueError for a name that is there."""
    if score.name in SCORES:
        raise ValueError(f"there is a score {score.name!r} already ({SCORES[score.name].title}).")
    SCORES[score.name] = score
    return score


def _harmonic_miou(totals: Any) -> Any:
    seen, unseen = totals["seen_miou"], totals["unseen_miou"]
    both = seen + unseen
    return 2 * seen * unseen / (both + (both == 0))  # 0 where both are


# The mean over the classes with ground truth.
declare(Score(name="miou", title="mIoU", of=lambda totals: totals.pixels.mean(totals.pixels.iou)))

# The same sum divided by the classes with ground truth or a prediction. This is detectron2's mIoU before July 2022, all
# released versions up to 0.6 included: a class that is nowhere in the ground truth costs a share of the score as soon
# as one pixel of it is predicted.
declare(
    Score(
        name="legacy_miou",
        title="legacy mIoU",
        of=lambda totals: totals.ratio(totals.pixels.sum(totals.pixels.iou), totals.pixels.num_found),
    )
)

# Over the classes that training has named, over the others, and the harmonic mean of the two.
declare(
    Score(
        name="seen_miou",
        title="seen mIoU",
        of=lambda totals: totals.pixels.mean(totals.pixels.iou, totals.seen),
        needs_seen=True,
    )
)
declare(
    Score(
        name="unseen_miou",
        title="unseen mIoU",
        of=lambda totals: totals.pixels.mean(totals.pixels.iou, ~totals.seen),
        needs_seen=True,
    )
)
declare(Score(name="harmonic_miou", title="harmonic mIoU", of=_harmonic_miou, needs_seen=True))

# IoU weighted by the class's share of the ground truth.
declare(
    Score(
        name="fwiou",
        title="fwIoU",
        of=lambda totals: totals.ratio(totals.pixels.sum(totals.pixels.iou * totals.pixels.gt), totals.num_pixels),
    )
)

declare(
    Score(
        name="pixel_accuracy",
        title="pixel accuracy",
        of=lambda totals: totals.ratio(totals.pixels.hits.sum(axis=0), totals.num_pixels),
    )
)

# The mean share of a class's pixels that was found, over the classes with ground truth.
declare(
    Score(name="mean_accuracy", title="mean accuracy", of=lambda totals: totals.pixels.mean(totals.pixels.accuracy))
)

# Share of the predicted area in classes that are not in the image; ignored pixels have no part in it.
declare(
    Score(
        name="hallucination_rate",
        title="hallucination rate",
        of=lambda totals: totals.ratio(totals.hallucinated, totals.num_pixels),
        lower_is_better=True,
    )
)
