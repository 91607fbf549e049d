"""All numbers of an evaluation in one dictionary that JSON can hold: fractions, and None where nothing was counted."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from ovlab.metrics.class_totals import ClassPixels, ClassTotals, ratio, scores_of


def summary(
    totals: ClassTotals, class_names: Sequence[str], seen: Bool[np.ndarray, "N"] | None = None
) -> dict[str, Any]:
    """The scores over all classes, then one entry a class under "classes", in the order of `class_names`.

    Scores that need `seen` are there with it only. Raises ValueError for another number of names than classes.
    """
    if len(class_names) != totals.num_classes:
        raise ValueError(f"{len(class_names)} class names for counts of {totals.num_classes} classes.")
    pixels = totals.pixels
    return {
        **{name: _number(float(score[0])) for name, score in scores_of(replace(totals, seen=seen)).items()},
        "num_images": totals.num_images,
        "num_pixels": int(totals.num_pixels[0]),
        "num_classes": totals.num_classes,
        "num_classes_in_ground_truth": int(np.count_nonzero(pixels.gt)),
        "num_classes_in_prediction": int(np.count_nonzero(pixels.pred)),
        "classes": _classes(pixels, class_names),
    }


def _classes(pixels: ClassPixels, class_names: Sequence[str]) -> list[dict[str, Any]]:
    columns = (ratio(pixels.hits, pixels.union), ratio(pixels.hits, pixels.gt), pixels.gt, pixels.pred)
    return [
        {
            "name": name,
            "iou": _number(iou),
            "accuracy": _number(accuracy),
            "num_gt_pixels": num_gt_pixels,
            "num_pred_pixels": num_pred_pixels,
        }
        for name, iou, accuracy, num_gt_pixels, num_pred_pixels in zip(
            class_names, *(column[:, 0].tolist() for column in columns), strict=True
        )
    ]


def _number(score: float) -> float | None:
    return None if math.isnan(score) else score
