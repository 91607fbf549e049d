"""The scores of an evaluation, best known first, each declared once: its names, its direction and its definition.

`of` makes a score from the class totals `t` of B sets of images (`ovlab.metrics.class_totals.ClassTotals`), as B
fractions, NaN where there is nothing to average: one set is an evaluation, two thousand are its bootstrap, and as many
as there are images are those images alone. The totals bring what a definition needs, so that this file imports no
NumPy, and tables and --help know every score without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

# What may be counted of an image beside its pixels: those near a contour, and those of predictions that an oracle told
# the classes of the image, its regions, or both.
Kind = Literal["boundary", "classes_oracle", "regions_oracle", "both_oracles"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """`name`: in records, tables and on the command line; `title`: for people. The ground truth itself scores 1, or 0
    where lower is better. needs_seen: it has to be known which classes training has named. needs: what has to be
    counted beside the pixels, which an evaluation does where its Scoring asks for it. is_difference: it may be below
    0."""

    name: str
    title: str
    of: Callable[[Any], Any]
    lower_is_better: bool = False
    needs_seen: bool = False
    needs: tuple[Kind, ...] = ()
    is_difference: bool = False


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


def _mean_iou_of(kind: Kind) -> Callable[[Any], Any]:
    return lambda t: t.beside[kind].mean(t.beside[kind].iou)


# The gap is 1 - mIoU. What no oracle closes is confusion: whole regions taken for another class of their image. What
# an oracle closes depends on whether the other one was there before, so its part is the mean over both orders
# (Shapley's value): the three parts add up to the gap. A part below 0: the oracle made it worse.
_ORACLES: tuple[Kind, ...] = ("classes_oracle", "regions_oracle", "both_oracles")


def _hallucination_gap(t: Any) -> Any:
    return (t["classes_oracle_miou"] - t["miou"] + t["both_oracles_miou"] - t["regions_oracle_miou"]) / 2


def _boundary_gap(t: Any) -> Any:
    return (t["regions_oracle_miou"] - t["miou"] + t["both_oracles_miou"] - t["classes_oracle_miou"]) / 2


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
    Score(name="boundary_iou", title="boundary IoU", of=_mean_iou_of("boundary"), needs=("boundary",)),
    Score(name="hallucination_rate", title="hallucination rate", of=_hallucination_rate, lower_is_better=True),
    *(
        Score(name=f"{kind}_miou", title=f"mIoU, {kind.replace('_', ' ')}", of=_mean_iou_of(kind), needs=(kind,))
        for kind in _ORACLES
    ),
    Score(
        name="hallucination_gap",
        title="gap: hallucination",
        of=_hallucination_gap,
        lower_is_better=True,
        needs=_ORACLES,
        is_difference=True,
    ),
    Score(
        name="confusion_gap",
        title="gap: confusion",
        of=lambda t: 1 - t["both_oracles_miou"],
        lower_is_better=True,
        needs=("both_oracles",),
    ),
    Score(
        name="boundary_gap",
        title="gap: boundaries",
        of=_boundary_gap,
        lower_is_better=True,
        needs=_ORACLES,
        is_difference=True,
    ),
):
    declare(_score)
