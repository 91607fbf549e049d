"""The scores of an evaluation, best known first, each declared once: its names, its direction and its definition.

`of` makes a score from the class totals `t` of B sets of images (`ovlab.metrics.class_totals.ClassTotals`), as B
fractions, NaN where there is nothing to average: one set is an evaluation, two thousand are its bootstrap, and as many
as there are images are those images alone. The totals bring what a definition needs, so that this file imports no
NumPy, and tables and --help know every score without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """`name`: in records, tables and on the command line; `title`: for people. The ground truth itself scores 1, or 0
    where lower is better. needs_seen: it has to be known which classes training has named. needs_boundary: boundaries
    have to be counted, which an evaluation does where its Scoring has a trim width."""

    name: str
    title: str
    of: Callable[[Any], Any]
    lower_is_better: bool = False
    needs_seen: bool = False
    needs_boundary: bool = False


SCORES: dict[str, Score] = {}


def declare(score: Score) -> Score:
    """Add a score to SCORES. Raises ValueError for a name that is there."""
    if score.name in SCORES:
        raise ValueError(f"there is a score {score.name!r} already ({SCORES[score.name].title}).")
    SCORES[score.name] = score
    return score


def _legacy_miou(t: Any) -> Any:
    """detectron2's mIoU before July 2022, all released versions up to 0.6 included: a class that is nowhere in the
    ground truth costs a share of the score as soon as one pixel of it is predicted."""
    return t.ratio(t.pixels.sum(t.pixels.iou), t.pixels.num_found)


def _harmonic_miou(t: Any) -> Any:
    seen, unseen = t["seen_miou"], t["unseen_miou"]
    both = seen + unseen
    return 2 * seen * unseen / (both + (both == 0))  # 0 where both are


def _hallucination_rate(t: Any) -> Any:
    """Share of the predicted area in classes that are not in the image; ignored pixels have no part in it."""
    return t.ratio(t.hallucinated, t.num_pixels)


for _score in (
    # A mean is over the classes with ground truth.
    Score(name="miou", title="mIoU", of=lambda t: t.pixels.mean(t.pixels.iou)),
    Score(name="legacy_miou", title="legacy mIoU", of=_legacy_miou),
    Score(name="seen_miou", title="seen mIoU", of=lambda t: t.pixels.mean(t.pixels.iou, t.seen), needs_seen=True),
    Score(name="unseen_miou", title="unseen mIoU", of=lambda t: t.pixels.mean(t.pixels.iou, ~t.seen), needs_seen=True),
    Score(name="harmonic_miou", title="harmonic mIoU", of=_harmonic_miou, needs_seen=True),
    # IoU weighted by the class's share of the ground truth.
    Score(name="fwiou", title="fwIoU", of=lambda t: t.ratio(t.pixels.sum(t.pixels.iou * t.pixels.gt), t.num_pixels)),
    Score(name="pixel_accuracy", title="pixel accuracy", of=lambda t: t.ratio(t.pixels.hits.sum(axis=0), t.num_pixels)),
    Score(name="mean_accuracy", title="mean accuracy", of=lambda t: t.pixels.mean(t.pixels.accuracy)),
    Score(name="boundary_iou", title="boundary IoU", of=lambda t: t.boundary.mean(t.boundary.iou), needs_boundary=True),
    Score(name="hallucination_rate", title="hallucination rate", of=_hallucination_rate, lower_is_better=True),
):
    declare(_score)
