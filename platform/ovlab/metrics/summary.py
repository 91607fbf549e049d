"""All numbers of an evaluation in one dictionary that JSON can hold: fractions, and None where nothing was counted."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from ovlab.metrics.evaluation_counts import EvaluationCounts


def summary(
    counts: EvaluationCounts, class_names: Sequence[str], seen: Bool[np.ndarray, "N"] | None = None
) -> dict[str, Any]:
    """The scores over all classes, then one entry a class under "classes", in the order of `class_names`.

    With `seen`, also "seen_miou", "unseen_miou" and "harmonic_miou". Raises ValueError for another number of names
    than classes.
    """
    confusion = counts.confusion
    if len(class_names) != confusion.num_classes:
        raise ValueError(f"{len(class_names)} class names for counts of {confusion.num_classes} classes.")
    scores = {
        "miou": confusion.mean_iou(),
        "legacy_miou": confusion.legacy_mean_iou(),
        "fwiou": confusion.frequency_weighted_iou(),
        "pixel_accuracy": confusion.pixel_accuracy(),
        "mean_accuracy": confusion.mean_accuracy(),
        "hallucination_rate": counts.hallucination_rate(),
    }
    if seen is not None:
        both = confusion.seen_unseen_mean_iou(seen)
        scores |= {"seen_miou": both.seen, "unseen_miou": both.unseen, "harmonic_miou": both.harmonic_mean}
    return {
        **{name: _number(score) for name, score in scores.items()},
        "num_images": counts.num_images,
        "num_pixels": confusion.num_pixels,
        "num_classes": confusion.num_classes,
        "num_classes_in_ground_truth": int(np.count_nonzero(confusion.gt_pixels)),
        "num_classes_in_prediction": int(np.count_nonzero(confusion.pred_pixels)),
        "classes": _classes(counts, class_names),
    }


def _classes(counts: EvaluationCounts, class_names: Sequence[str]) -> list[dict[str, Any]]:
    confusion = counts.confusion
    columns = (confusion.iou(), confusion.accuracy(), confusion.gt_pixels, confusion.pred_pixels)
    return [
        {
            "name": name,
            "iou": _number(iou),
            "accuracy": _number(accuracy),
            "num_gt_pixels": num_gt_pixels,
            "num_pred_pixels": num_pred_pixels,
        }
        for name, iou, accuracy, num_gt_pixels, num_pred_pixels in zip(
            class_names, *(column.tolist() for column in columns), strict=True
        )
    ]


def _number(score: float) -> float | None:
    return None if math.isnan(score) else score
