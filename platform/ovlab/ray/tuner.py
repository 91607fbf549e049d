"""Runs as trials of Ray Tune, several at once, the longest first.

A trial is a training and then its evaluations, in the trial's own process or in several that it leads. How many are
made at a time follows the nodes of the cluster as they come and go. The store says what is missing, and an
interrupted run goes on from its run folder or the store; what Tune itself writes down is thrown away at the end.

A trial that fails stops no other and is not tried again, since it would fail again; a process that is lost is replaced,
MAX_LOST times.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import ray
from ray import tune
from ray.actor import ActorHandle
from ray.tune.logger import JsonLoggerCallback
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from ovlab.datasets.places import VARIABLE
from ovlab.ray.asha import Search, to_the_end
from ovlab.ray.cluster import Cluster
from ovlab.ray.mailbox import accompany, open_mailbox
from ovlab.ray.trial import Order, trial
from ovlab.runs.context import RunContext
from ovlab.runs.failure import Failure
from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedRun
from ovlab.runs.progress import ProgressLine, open_display
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.events import Places
from ovlab.store.journal import end_silent
from ovlab.sweeps.schedule import Division, longest_first, run_seconds

MAX_LOST = 3
# Ray's name of a resource that only the head node has.
_HEAD = "node:__internal_head__"

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
    division: Division,
    search: Callable[[Sequence[PlannedRun]], Search] = to_the_end,
) -> None:
    """Make the runs on the connected cluster, divided as `division` says.

    A trial that `search` stops early leaves no record. `on_failure` is told of every run that failed, at the end.
    Raises InputError for a device, or a bound, of GPUs that the cluster has not, and Stopped when `context.stop` said
    so, after each trial under way has saved its state.
    """
    cluster.require_gpus(context.device)
    on_gpus = cluster.reserves_gpus(context.device)
    if division.max_gpus is not None and not on_gpus:
        raise InputError("--max-gpus: no GPU is used; --runs-at-once says how many runs are made at a time.")
    runs = [runs[number] for number in longest_first([run_seconds(run, division.most_processes) for run in runs])]
    room = _Room(division, on_gpus, context.observer)
    mailbox, chosen = open_mailbox(), search(runs)
    order = Order(
        runs=runs,
        context=replace(context.portable(), device=cluster.device(context.device)),
        mailbox=mailbox,
        data_root=os.environ.get(VARIABLE),
        observer=chosen.observer,
        num_processes=division.num_processes,
    )
    with tempfile.TemporaryDirectory(prefix="ovlab-tune-") as scratch:
        names = [f"[{number}/{len(runs)}] {run.name}" for number, run in enumerate(runs, start=1)]
        said = _Announcements(names)
        of_one = _of_one(division, cluster, on_gpus=on_gpus, num_runs=len(runs))
        tuner = _tuner(order, said, _Ways(chosen.scheduler, room.limit, of_one), scratch)

        def stop() -> bool:
            room.look()
            said.is_stopping = context.stop()
            return said.is_stopping

        results = _watch(tuner, names, mailbox, stop)
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


class _Room:
    """How many runs may be at work: as many as the cluster has room for, which `look` asks it again."""

    def __init__(self, division: Division, on_gpus: bool, observer: Observer) -> None:
        self.division, self.kind, self.observer = division, "GPU" if on_gpus else "CPU", observer
        self.num_places = -1
        self.limit = BasicVariantGenerator()
        self.look()

    def look(self) -> None:
        num_places = self.division.num_places(ray.cluster_resources().get(self.kind, 0.0))
        if num_places != self.num_places:
            self.num_places = num_places
            # One may wait for room, and says so.
            self.limit.max_concurrent = max(1, num_places)
            self.observer.on_places(Places(num_places=num_places, num_processes=self.division.most_processes))


def _of_one(division: Division, cluster: Cluster, *, on_gpus: bool, num_runs: int) -> tune.PlacementGroupFactory:
    """What the process of a trial reserves: where it leads others, nothing but a place on the node that is never given
    back. More at once than there are GPUs or processors share them."""
    if division.num_processes is not None:
        return tune.PlacementGroupFactory([{_HEAD: 0.001}])
    num_gpus = cluster.num_gpus if division.max_gpus is None else min(cluster.num_gpus, division.max_gpus)
    number = max(1, min(division.num_places(num_gpus if on_gpus else cluster.num_cpus), num_runs))
    of_one = {"CPU": min(1.0, cluster.num_cpus / number)}
    return tune.PlacementGroupFactory([of_one | ({"GPU": min(1.0, num_gpus / number)} if on_gpus else {})])


class _Ways(NamedTuple):
    """Which trials come to their end, how many are at work at a time, and what each reserves."""

    scheduler: TrialScheduler
    limit: BasicVariantGenerator
    of_one: tune.PlacementGroupFactory


def _tuner(order: Order, said: "_Announcements", ways: _Ways, scratch: str) -> tune.Tuner:
    os.environ.update(_SETTINGS)
    trainable = tune.with_resources(tune.with_parameters(trial, order=order), ways.of_one)
    return tune.Tuner(
        trainable,
        param_space={"number": tune.grid_search(list(range(len(order.runs))))},
        tune_config=tune.TuneConfig(
            search_alg=ways.limit,
            # The start of a process that imports torch takes seconds.
            reuse_actors=True,
            scheduler=ways.scheduler,
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']}",
        ),
        run_config=tune.RunConfig(
            name="runs",
            storage_path=scratch,
            failure_config=tune.FailureConfig(max_failures=MAX_LOST),
            callbacks=[JsonLoggerCallback(), _Silent(), said],
            verbose=0,
        ),
    )


class _Silent(TrialProgressCallback):
    """In the place of the one that prints every result, which no verbosity turns off."""

    def _print(self, msg: str) -> None:
        pass


class _Announcements(tune.Callback):
    """Says of each run when it begins and how it ends; but nothing of those that begin after a wish to stop, which end
    at once."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.is_stopping = False
        self.silent: set[int] = set()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.is_stopping:
            self.silent.add(trial.config["number"])
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
        if (number := trial.config["number"]) not in self.silent:
            print(f"{self.names[number]}: {what}", file=sys.stderr)


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
