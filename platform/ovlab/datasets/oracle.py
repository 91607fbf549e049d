"""Two predictions whose scores are known beforehand, so that data and metrics check each other.

The ground truth itself scores 1 on everything and hallucinates nothing. A constant prediction c, with h_n pixels of
class n among T counted ones and P classes that have any, scores

    IoU_c = h_c / T, every other IoU 0       mIoU = h_c / (T P), legacy too if h_c > 0, else divided by P + 1
    fwIoU = (h_c / T)^2                      pixel accuracy = h_c / T       mean accuracy = [h_c > 0] / P

and hallucinates in every pixel of the images that have no pixel of c.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ovlab.metrics.class_totals import ClassTotals, ratio, scores_of
from ovlab.specs.scores import SCORES

Scores = Mapping[str, float]


def constant_scores(class_pixels: Sequence[int], constant: int, num_pixels_elsewhere: int) -> Scores:
    """The scores of predicting `constant` everywhere. `class_pixels`: h_n, at least one above 0;
    `num_pixels_elsewhere`: the counted pixels of the images without a pixel of that class."""
    total, hits = sum(class_pixels), class_pixels[constant]
    num_present = sum(pixels > 0 for pixels in class_pixels)
    share = hits / total
    return {
        "miou": share / num_present,
        "legacy_miou": share / (num_present + (hits == 0)),
        "fwiou": share * share,
        "pixel_accuracy": share,
        "mean_accuracy": (hits > 0) / num_present,
        "hallucination_rate": num_pixels_elsewhere / total,
    }


def perfect_differences(totals: ClassTotals) -> list[str]:
    """Where the scores of the ground truth as its own prediction are not exactly perfect, one line each."""
    best = {name: 0.0 if SCORES[name].lower_is_better else 1.0 for name in scores_of(totals)}
    found = [f"{name} is {totals[name][0]}, not {value}" for name, value in best.items() if totals[name][0] != value]
    iou, present = ratio(totals.pixels.hits, totals.pixels.union)[:, 0], totals.pixels.gt[:, 0] > 0
    wrong = np.flatnonzero(np.where(present, iou != 1.0, ~np.isnan(iou)))
    return found + [f"IoU of class {index} is {iou[index]}" for index in wrong]


def constant_differences(totals: ClassTotals, expected: Scores) -> list[str]:
    """Where the scores of a constant prediction are not those of the formula, to 12 digits, one line each."""
    return [
        f"{name} is {totals[name][0]}, the formula says {value}"
        for name, value in expected.items()
        if not math.isclose(totals[name][0], value, rel_tol=1e-12)
    ]
