"""ovlab.specs.run_limits: what a run was limited to, in numbers and words."""

from dataclasses import replace

import pytest

from ovlab.specs.evaluation import EvaluationSpec, whole
from ovlab.specs.run_limits import NO_LIMITS, Limits, limits_of, limits_text
from ovlab.specs.suite import SHAPES
from ovlab.specs.training import TrainingSpec

WHOLE = SHAPES.training()
EVALUATION = EvaluationSpec(
    subject="a" * 64,
    benchmark="shapes-a-150",
    split="val",
    data_digest="b" * 64,
    vocabulary_digest="c" * 64,
    protocol=whole(96),
)
FIRST_4 = replace(EVALUATION, num_images=4)


def of_steps(num_steps: int) -> TrainingSpec:
    return replace(WHOLE, schedule=replace(WHOLE.schedule, steps=num_steps))


@pytest.mark.parametrize(
    ("training", "evaluation", "limits", "text"),
    [
        (WHOLE, EVALUATION, NO_LIMITS, ""),
        (of_steps(200), None, NO_LIMITS, ""),
        (of_steps(99), EVALUATION, Limits(99, 100), "limited run: 99 of 100 updates"),
        (WHOLE, FIRST_4, Limits(num_images=4), "limited run: the first 4 images"),
        (of_steps(6), FIRST_4, Limits(6, 100, 4), "limited run: 6 of 100 updates, the first 4 images"),
        (replace(of_steps(6), dataset="mine"), None, NO_LIMITS, ""),
    ],
)
def test_limits_are_what_is_less_than_the_suite_asks_for(
    training: TrainingSpec, evaluation: EvaluationSpec | None, limits: Limits, text: str
) -> None:
    assert limits_of(training, evaluation) == limits
    assert limits.text == text


def test_limits_text_of_a_run_names_each_limit_once() -> None:
    assert limits_text(of_steps(6)) == "limited run: 6 of 100 updates"
    assert limits_text(WHOLE, [EVALUATION]) == ""
    assert limits_text(of_steps(6), [FIRST_4, FIRST_4, EVALUATION]) == (
        "limited run: 6 of 100 updates, the first 4 images; limited run: 6 of 100 updates"
    )
