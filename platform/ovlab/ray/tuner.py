"""Runs as trials of Ray Tune, several at once.

A trial is a training and then its evaluations, in the trial's own process. The store says what is missing, and an
interrupted run goes on from its run folder or the store; what Tune itself writes down is thrown away at the end.

A trial that fails stops no other and is not tried again, since it would fail again; a process that is lost is replaced,
MAX_LOST times.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from ray import tune
from ray.actor import ActorHandle
from ray.tune.logger import JsonLoggerCallback
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import TrialScheduler

from ovlab.datasets.places import VARIABLE
from ovlab.ray.asha import Search, to_the_end
from ovlab.ray.cluster import Cluster
from ovlab.ray.mailbox import accompany, open_mailbox
from ovlab.ray.trial import Order, trial
from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.planned import PlannedRun
from ovlab.runs.progress import ProgressLine, open_display
from ovlab.specs.errors import InputError, Stopped
from ovlab.store.journal import end_silent

MAX_LOST = 3

_SETTINGS = {
    # Of its files of results, those that it reads itself are enough.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # The other of its two ways of printing cannot be made silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
    # The last result of a trial says how it ended, and has no loss.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}


def make_on_ray(
    runs: Sequence[PlannedRun],
    context: RunContext,
    on_failure: Callable[[Failure], object],
    *,
    cluster: Cluster,
    num_at_once: int | None = None,
    search: Callable[[Sequence[PlannedRun]], Search] = to_the_end,
) -> None:
    """Make the runs on the connected cluster, `num_at_once` at a time; None: one on each GPU, or on each processor
    where there is none.

    A trial that `search` stops early leaves no record. `on_failure` is told of every run that failed, at the end.
    Raises InputError for a device that the cluster has not, and Stopped when `context.stop` said so, after each trial
    under way has saved its state.
    """
    resources = _resources(context.device, cluster, num_at_once, len(runs))
    mailbox, chosen = open_mailbox(), search(runs)
    order = Order(
        runs=runs,
        context=context.portable(),
        mailbox=mailbox,
        data_root=os.environ.get(VARIABLE),
        observer=chosen.observer,
    )
    with tempfile.TemporaryDirectory(prefix="ovlab-tune-") as scratch:
        names = [f"[{number}/{len(runs)}] {run.name}" for number, run in enumerate(runs, start=1)]
        results = _watch(_tuner(order, names, chosen.scheduler, resources, scratch), names, mailbox, context.stop)
    for result in results:
        run = runs[result.config["number"]]
        if result.error is not None:
            lines = str(result.error).strip().splitlines()
            if run.subject.fingerprint is not None:
                end_silent(context.store, run.subject.fingerprint, stale_after=0.0)
            on_failure(Failure(run, f"its process was lost {MAX_LOST + 1} times: {lines[-1]}"))
        elif result.metrics.get("cause") is not None:
            if result.metrics["report"] is not None:
                print(result.metrics["report"], file=sys.stderr)
            on_failure(Failure(run, result.metrics["cause"]))
    if any(result.metrics and result.metrics.get("stopped") for result in results):
        raise Stopped("stopped; the same command continues.")


class _Resources(NamedTuple):
    num_at_once: int
    of_one: dict[str, float]


def _resources(device: str, cluster: Cluster, num_at_once: int | None, num_runs: int) -> _Resources:
    """More at once than there are GPUs or processors share them."""
    on_gpu = device == "cuda" or (device == "auto" and cluster.num_gpus > 0)
    if on_gpu and not cluster.num_gpus:
        raise InputError(f"--device {device}: the Ray at {cluster.address} has no GPU; use cpu or auto.")
    num_places = cluster.num_gpus if on_gpu else cluster.num_cpus
    number = max(1, min(num_at_once or int(num_places), num_runs))
    of_one = {"cpu": min(1.0, cluster.num_cpus / number)}
    if on_gpu:
        of_one["gpu"] = min(1.0, cluster.num_gpus / number)
    return _Resources(number, of_one)


def _tuner(
    order: Order, names: Sequence[str], scheduler: TrialScheduler, resources: _Resources, scratch: str
) -> tune.Tuner:
    os.environ.update(_SETTINGS)
    trainable = tune.with_resources(tune.with_parameters(trial, order=order), resources.of_one)
    return tune.Tuner(
        trainable,
        param_space={"number": tune.grid_search(list(range(len(order.runs))))},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.num_at_once,
            # The start of a process that imports torch takes seconds.
            reuse_actors=True,
            scheduler=scheduler,
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']}",
        ),
        run_config=tune.RunConfig(
            name="runs",
            storage_path=scratch,
            failure_config=tune.FailureConfig(max_failures=MAX_LOST),
            callbacks=[JsonLoggerCallback(), _Silent(), _Announcements(names)],
            verbose=0,
        ),
    )


class _Silent(TrialProgressCallback):
    """In the place of the one that prints every result, which no verbosity turns off."""

    def _print(self, msg: str) -> None:
        pass


class _Announcements(tune.Callback):
    """Says of each run when it begins and how it ends."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._say(trial, "begins")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        end = trial.last_result
        if end.get("cause") is not None:
            self._say(trial, f"FAILED ({end['cause']})")
        else:
            self._say(trial, "KILLED" if end.get("stopped") else "FINISHED")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._say(trial, "its process was lost")

    def _say(self, trial: Any, what: str) -> None:
        print(f"{self.names[trial.config['number']]}: {what}", file=sys.stderr)


def _watch(tuner: tune.Tuner, names: Sequence[str], mailbox: ActorHandle, stop: Callable[[], bool]) -> Any:
    """Run the tuner to its end with a line for every run under way, and pass on the wish to stop."""
    # In a thread of its own, because in the main thread `fit` takes Ctrl-C for itself.
    executor = ThreadPoolExecutor(1, thread_name_prefix="ray-tune")
    ended = executor.submit(tuner.fit)
    try:
        with open_display() as display:
            lines = [ProgressLine(name, display) for name in names]

            def hear(told: tuple[int, str, Sequence[Any]]) -> None:
                number, name, event = told
                getattr(lines[number], name)(*event)

            accompany(ended, mailbox, hear, stop)
    finally:
        # A second Ctrl-C waits for no trial.
        executor.shutdown(wait=False)
    return ended.result()
