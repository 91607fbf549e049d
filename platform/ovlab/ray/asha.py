"""Which trials come to their end: all of them, for a table; in a search, those that keep up (ASHA of Ray Tune).

In a search a trial whose loss is not among the best third at its step is given up. Tune would kill such a trial in the
middle of a sentence. Here its scheduler only pronounces the verdict; the trial asks for it and stops by itself, so that
its books are closed and its status is told.
"""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import ray
from ray import tune
from ray.actor import ActorHandle
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedRun, PlannedTraining
from ovlab.specs.errors import Stopped
from ovlab.specs.events import Step
from ovlab.sweeps.search import EARLY

# One trial of so many goes on behind each rung; there are two rungs, at a ninth and a third of the longest run.
REDUCTION = 3
NUM_REPORTS = 27


class Search(NamedTuple):
    """`scheduler` decides; `observer`, of the number of a trial and of its updates, is told of each."""

    scheduler: TrialScheduler
    observer: Callable[[int, int], Observer]


def to_the_end(runs: Sequence[PlannedRun]) -> Search:
    """Every run whole."""
    return Search(FIFOScheduler(), lambda number, num_steps: Observer())


def asha(runs: Sequence[PlannedRun]) -> Search:
    """What falls behind is stopped early. To be called when Ray is connected."""
    verdicts = ray.remote(Verdicts).options(num_cpus=0).remote()
    return Search(GentleAsha(verdicts, runs), lambda number, num_steps: LossReports(verdicts, number, num_steps))


class Verdicts:
    """An actor: the numbers of the trials that are given up."""

    def __init__(self) -> None:
        self.given_up: set[int] = set()

    def give_up(self, number: int) -> None:
        self.given_up.add(number)

    def is_given_up(self, number: int) -> bool:
        return number in self.given_up


class GentleAsha(ASHAScheduler):
    """ASHA that stops no trial itself."""

    def __init__(self, verdicts: ActorHandle, runs: Sequence[PlannedRun]) -> None:
        schedules = [run.subject.spec.schedule for run in runs if isinstance(run.subject, PlannedTraining)]
        num_steps = max(schedule.steps for schedule in schedules)
        warmup_steps = max(schedule.warmup_steps for schedule in schedules)
        super().__init__(
            time_attr="step",
            metric="loss",
            mode="min",
            max_t=num_steps,
            # No verdict on a loss of the warm-up.
            grace_period=min(num_steps, max(1, num_steps // REDUCTION**2, warmup_steps + 1)),
            reduction_factor=REDUCTION,
            stop_last_trials=False,
        )
        self.verdicts = verdicts

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if super().on_trial_result(tune_controller, trial, result) == TrialScheduler.STOP:
            ray.get(self.verdicts.give_up.remote(trial.config["number"]))
        return TrialScheduler.CONTINUE


class LossReports(Observer):
    """Of the steps of a trial: tells the scheduler the mean loss since the last report, and obeys its verdict.

    Raises Stopped when the trial is given up.
    """

    def __init__(self, verdicts: ActorHandle, number: int, num_steps: int) -> None:
        self.verdicts, self.number = verdicts, number
        self.every = max(1, num_steps // NUM_REPORTS)
        self.losses: list[float] = []

    def on_step(self, step: Step) -> None:
        self.losses.append(step.loss)
        if step.step % self.every:
            return
        tune.report({"step": step.step, "loss": fmean(self.losses)})
        self.losses = []
        if ray.get(self.verdicts.is_given_up.remote(self.number)):
            raise Stopped(f"{EARLY} at step {step.step}: others had a lower loss there.")
