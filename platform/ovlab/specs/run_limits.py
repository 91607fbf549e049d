"""What a run was limited to: a rehearsal stands on less than its suite asks for, whoever asked for it.

Its figures bear no mark and decide no claim, and no estimate builds on it without saying so.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ovlab.specs.evaluation import EvaluationSpec
from ovlab.specs.suite import SUITES
from ovlab.specs.training import TrainingSpec


class Limits(NamedTuple):
    """Updates of a training, fewer than the `full_steps` of its suite, and the first images of a split; None where all
    were made, and where no suite says what all are."""

    num_steps: int | None = None
    full_steps: int | None = None
    num_images: int | None = None

    @property
    def text(self) -> str:
        """ "limited run: 6 of 100 updates, the first 4 images"; "" without a limit."""
        parts = [f"{self.num_steps} of {self.full_steps} updates"] if self.num_steps is not None else []
        parts += [f"the first {self.num_images} images"] if self.num_images is not None else []
        return f"limited run: {', '.join(parts)}" if parts else ""


NO_LIMITS = Limits()


def limits_text(training: TrainingSpec | None, evaluations: Iterable[EvaluationSpec] = ()) -> str:
    """Those of a training, None where there is none, and of all its evaluations in words, each once; "" without any."""
    found = [limits_of(training), *(limits_of(training, evaluation) for evaluation in evaluations)]
    texts = dict.fromkeys(limits.text for limits in (found[1:] or found) if limits.text)
    return "; ".join(texts)


def limits_of(training: TrainingSpec | None, evaluation: EvaluationSpec | None = None) -> Limits:
    """Of a training, None where there is none, and of one of its evaluations. A suite is known by the training set."""
    num_images = None if evaluation is None else evaluation.num_images
    if training is None:
        return Limits(num_images=num_images)
    full = next(
        (suite.schedule.steps for suite in SUITES.values() if training.dataset in suite.training_sets.values()), 0
    )
    if training.schedule.steps >= full:
        return Limits(num_images=num_images)
    return Limits(training.schedule.steps, full, num_images)
