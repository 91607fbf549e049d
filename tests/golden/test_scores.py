"""Fixed counts have the scores that are pinned; those of all images also by hand, in fractions that are exact."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import golden
from ovlab.metrics.resampling import resample
from ovlab.specs.evaluation import EVALUATOR_VERSION
from ovlab.specs.scores import SCORES

PINS = golden.pins()["scores"]
# Sums of a dozen float64 in another order; resampled means have 300 summands.
RELATIVE = 1e-12
RENEW = (
    "the same predictions are scored otherwise: raise EVALUATOR_VERSION, then renew the pin "
    "(python tests/programs/renew_pins.py scores)"
)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return json.loads(json.dumps(golden.scores()))


def test_pins_are_of_this_version() -> None:
    assert PINS["version"] == EVALUATOR_VERSION, "EVALUATOR_VERSION was raised: python tests/programs/renew_pins.py"


@pytest.mark.parametrize("part", PINS["scores"])
def test_scores_of_fixed_counts_are_those_pinned(made: dict[str, Any], part: str) -> None:
    found, pinned = dict(numbers(made[part])), dict(numbers(PINS["scores"][part]))

    assert found.keys() == pinned.keys(), RENEW
    other = {place: (found[place], pinned[place]) for place in pinned if not is_close(found[place], pinned[place])}
    assert not other, RENEW


def test_every_part_of_the_scores_is_pinned(made: dict[str, Any]) -> None:
    assert made.keys() == PINS["scores"].keys()


def test_every_score_is_that_of_exact_fractions(made: dict[str, Any]) -> None:
    exact = exact_scores(golden.pair_counts(golden.label_maps(0)))

    assert {name for name, score in SCORES.items() if not score.needs} <= exact.keys()
    assert {name: made["summary"][name] for name in exact} == pytest.approx(exact, rel=1e-14)


def test_every_score_before_resampling_is_that_of_exact_fractions() -> None:
    counts = golden.pair_counts(golden.label_maps(0))

    full = resample(golden.per_image(counts), golden.SEEN, num_resamples=1).full

    exact = exact_scores(counts)
    assert full == pytest.approx({name: exact[name] for name in full}, rel=1e-14)


def exact_scores(counts: np.ndarray) -> dict[str, float]:
    """From pixels of each (image, label, prediction), as the scores are defined; divided as fractions."""
    pixels = counts.sum(axis=0).tolist()
    classes = range(len(pixels))
    gt = [sum(pixels[n]) for n in classes]
    pred = [sum(row[n] for row in pixels) for n in classes]
    total, present = sum(gt), [n for n in classes if gt[n]]
    iou = {n: Fraction(pixels[n][n], gt[n] + pred[n] - pixels[n][n]) for n in present}
    seen, unseen = (mean(iou[n] for n in present if golden.SEEN[n] == side) for side in (True, False))
    invented = sum(
        int(image[:, n].sum()) for image in counts for n in classes if image[:, n].any() and not image[n].any()
    )
    exact = {
        "miou": mean(iou.values()),
        "legacy_miou": sum(iou.values()) / sum(1 for n in classes if gt[n] or pred[n]),
        "fwiou": sum(iou[n] * gt[n] for n in present) / total,
        "pixel_accuracy": Fraction(sum(pixels[n][n] for n in classes), total),
        "mean_accuracy": mean(Fraction(pixels[n][n], gt[n]) for n in present),
        "hallucination_rate": Fraction(invented, total),
        "seen_miou": seen,
        "unseen_miou": unseen,
        "harmonic_miou": 2 * seen * unseen / (seen + unseen),
    }
    return {name: float(score) for name, score in exact.items()}


def mean(values: Any) -> Fraction:
    values = list(values)
    return sum(values, Fraction(0)) / len(values)


def numbers(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested JSON, by its place."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(part, f"{place}/{name}")
    else:
        yield place, value


def is_close(found: Any, pinned: Any) -> bool:
    if isinstance(found, float) and isinstance(pinned, float):
        return found == pytest.approx(pinned, rel=RELATIVE, abs=RELATIVE)
    return found == pinned
