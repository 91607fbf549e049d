"""The missing runs of a plan as trials of Ray Tune, several at once.

A trial is a training and then its evaluations, in the trial's own process. The store says what is missing, and an
interrupted run goes on from its run folder or the store; what Tune itself writes down is thrown away at the end.

A trial that fails stops no other and is not tried again, since it would fail again; a process that is lost is replaced,
MAX_LOST times. This process is told what the trials would tell a tracking server, and so owns the status of every run.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
from ovlab.runs.failure import Failure
from ovlab.runs.planned import Plan, PlannedRun
from ovlab.runs.workplace import Workplace
from ovlab.specs.errors import InputError, Stopped
from ovlab.sweeps.relay import Deliveries, Message
from ovlab.sweeps.tracked_sweep import sweep_of
from ovlab.tracking.session import NewTracker

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
    plan: Plan,
    at: Workplace,
    *,
    cluster: Cluster,
    num_at_once: int | None,
    new_tracker: NewTracker,
    stop: Callable[[], bool],
    on_failure: Callable[[Failure], object],
    search: Callable[[Sequence[PlannedRun]], Search] = to_the_end,
) -> None:
    """Make what is missing of the plan on the connected cluster, `num_at_once` runs at a time; None: one on each GPU,
    or on each processor where there is none.

    A trial that `search` stops early leaves no record. `on_failure` is told of every run that failed, at the end.
    Raises InputError for a device that the cluster has not, and Stopped when `stop` said so, after each trial under way
    has saved its state.
    """
    resources = _resources(at.device, cluster, num_at_once, len(plan.missing))
    mailbox, chosen = open_mailbox(), search(plan.missing)
    order = Order(
        runs=plan.missing,
        sweep=sweep_of(plan),
        at=replace(at, workdir=at.workdir.resolve(), sources=at.sources.absolute()),
        mailbox=mailbox,
        data_root=os.environ.get(VARIABLE),
        hooks=chosen.hooks,
    )
    deliveries = Deliveries(new_tracker)
    with tempfile.TemporaryDirectory(prefix="ovlab-tune-") as scratch:
        try:
            results = _watch(_tuner(order, chosen.scheduler, resources, scratch), mailbox, deliveries, plan, stop)
        finally:
            deliveries.abandon("its process was lost")
    for run in plan.runs:
        if run.status == "blocked":
            on_failure(Failure(run, " ".join(run.problems)))
    for result in results:
        run = plan.missing[result.config["number"]]
        if result.error is not None:
            lines = str(result.error).strip().splitlines()
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
    if device not in ("cpu", "cuda", "auto"):
        raise InputError(f"--device {device}: a trial has the GPU that Ray gives it; use cpu, cuda or auto.")
    on_gpu = device == "cuda" or (device == "auto" and cluster.num_gpus > 0)
    if on_gpu and not cluster.num_gpus:
        raise InputError(f"--device {device}: the Ray at {cluster.address} has no GPU; use cpu or auto.")
    num_places = cluster.num_gpus if on_gpu else cluster.num_cpus
    number = max(1, min(num_at_once or int(num_places), num_runs))
    of_one = {"cpu": min(1.0, cluster.num_cpus / number)}
    if on_gpu:
        of_one["gpu"] = min(1.0, cluster.num_gpus / number)
    return _Resources(number, of_one)


def _tuner(order: Order, scheduler: TrialScheduler, resources: _Resources, scratch: str) -> tune.Tuner:
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
            callbacks=[JsonLoggerCallback(), _Silent()],
            verbose=0,
        ),
    )


class _Silent(TrialProgressCallback):
    """In the place of the one that prints every result, which no verbosity turns off."""

    def _print(self, msg: str) -> None:
        pass


def _watch(
    tuner: tune.Tuner, mailbox: ActorHandle, deliveries: Deliveries, plan: Plan, stop: Callable[[], bool]
) -> Any:
    """Run the tuner to its end, and hand over meanwhile what the trials tell."""
    names = {
        run.training.fingerprint: f"[{number}/{len(plan.runs)}] {run.name}" for number, run in enumerate(plan.runs, 1)
    }

    def hand_over(message: Message) -> None:
        deliveries.deliver(message)
        _announce(message, names[message.run])

    # In a thread of its own, because in the main thread `fit` takes Ctrl-C for itself.
    executor = ThreadPoolExecutor(1, thread_name_prefix="ray-tune")
    ended = executor.submit(tuner.fit)
    try:
        accompany(ended, mailbox, hand_over, stop)
    finally:
        # A second Ctrl-C waits for no trial.
        executor.shutdown(wait=False)
    return ended.result()


def _announce(message: Message, name: str) -> None:
    match message:
        case Message(method="start"):
            print(f"{name}: begins", file=sys.stderr)
        case Message(method="end", arguments=(status, reason)):
            print(f"{name}: {status}{reason and f' ({reason})'}", file=sys.stderr)
