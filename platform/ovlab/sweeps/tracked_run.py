"""A run of a plan as the tracking server shows it: under its table, with its spec, its curves and its scores.

It is a training with its evaluations, known by the training's fingerprint. Tables that share a training share the run,
which stands under the one that worked on it last.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from ovlab.files.lock import locked
from ovlab.ray.hooks import NullSink, Sink, evaluation_metrics, training_metrics
from ovlab.runs.device import pick_device
from ovlab.runs.failure import Failure
from ovlab.runs.planned import Plan, PlannedRun
from ovlab.runs.planned_run import OpenProgress, RunRecords, no_progress, require_resolved, run_missing, run_one
from ovlab.runs.progress import open_progress
from ovlab.runs.sources import Sources
from ovlab.runs.workplace import Workplace
from ovlab.specs.evaluation import protocol_hash
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.store.attempts import attempts_at
from ovlab.store.store import Store, open_store
from ovlab.sweeps.run_telling import record_teller, step_teller
from ovlab.sweeps.tracked_sweep import Sweep, sweep_of
from ovlab.tracking.lifecycle import tracked
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Provenance, provenance
from ovlab.tracking.session import NewTracker
from ovlab.tracking.system_metrics import SystemMetrics
from ovlab.tracking.tags import run_tags
from ovlab.tracking.tracker import RunHeader, TrackedDataset, Tracker
from ovlab.training.step_log import StepRecord

SILENT = NullSink()
# In which a process that was killed ends and lets its run go.
PATIENCE = 60.0


def make_here(
    plan: Plan,
    at: Workplace,
    *,
    new_tracker: NewTracker,
    stop: Callable[[], bool],
    on_failure: Callable[[Failure], object],
) -> None:
    """Make what is missing of the plan in this process, one run after the other.

    `on_failure` is told of each run that was not made. Raises Stopped when `stop` says so.
    """
    sweep, numbers = sweep_of(plan), {id(run): number for number, run in enumerate(plan.runs, start=1)}

    def make(run: PlannedRun) -> None:
        print(f"[{numbers[id(run)]}/{len(plan.runs)}] {run.name}", file=sys.stderr)
        make_tracked(run, sweep, at, new_tracker(), open_progress=open_progress, stop=stop)

    run_missing(plan, make, on_failure)


def make_tracked(
    planned: PlannedRun,
    sweep: Sweep,
    at: Workplace,
    tracker: Tracker,
    *,
    open_progress: OpenProgress = no_progress,
    stop: Callable[[], bool] = lambda: False,
    on_step: Sequence[Callable[[StepRecord], None]] = (),
    sink: Sink = SILENT,
) -> RunRecords:
    """`run_one`, told to `tracker`, and its metrics to `sink`.

    Raises what `run_one` raises, and InputError when another process is at the run.

    The records name the MLflow run by its tag ovlab.run, the training's fingerprint: the server's own id may not be
    known before the server has been reached.
    """
    resolved, store = require_resolved(planned), open_store(at.store)
    run, made_with = training_fingerprint(resolved), provenance(at.source)
    with locked(at.lock(run), planned.name, seconds=PATIENCE):
        header = _header(planned, resolved, sweep, store, made_with)
        with (
            training_metrics(sink, resolved) as training,
            evaluation_metrics(sink, [run]) as evaluations,
            tracked(tracker, header, measure=SystemMetrics()),
        ):
            for dataset in _datasets(planned, resolved, at.sources):
                tracker.dataset(dataset)
            return run_one(
                planned,
                store,
                at.workdir,
                sources=at.sources,
                device=pick_device(at.device),
                num_loader_workers=at.num_loader_workers,
                checkpoint_every=at.checkpoint_every,
                open_progress=open_progress,
                stop=stop,
                on_step=[step_teller(tracker, resolved.spec.schedule.steps), *on_step, training.on_step],
                on_checkpoint=[training.on_checkpoint],
                on_counts=[evaluations.on_counts],
                on_record=[record_teller(tracker, store)],
                provenance=asdict(made_with),
                mlflow_run_id=run,
            )


def _header(
    planned: PlannedRun, resolved: ResolvedTraining, sweep: Sweep, store: Store, made_with: Provenance
) -> RunHeader:
    run, spec = training_fingerprint(resolved), resolved.spec
    evaluations = [part.spec for part in planned.evaluations if part.spec is not None]
    digests = {spec.dataset: resolved.data_digest} | {part.benchmark: part.data_digest for part in evaluations}
    return RunHeader(
        run=run,
        name=planned.name,
        experiment=sweep.experiment,
        parent=sweep.run,
        params=flat_params(spec),
        tags={
            **run_tags(
                kind="training",
                fingerprint=run,
                provenance=made_with,
                data_digests=digests,
                protocols={part.benchmark: protocol_hash(part.protocol) for part in evaluations},
            ),
            "ovlab.suite": sweep.suite,
            "ovlab.preset": planned.training.preset,
            "ovlab.rows": ", ".join(f"{table} {row}" for table, row in planned.rows),
            "ovlab.seed": str(spec.seed),
        },
        attempt=len(attempts_at(store.folder, run)) + 1,
    )


def _datasets(planned: PlannedRun, resolved: ResolvedTraining, sources: Sources) -> Iterator[TrackedDataset]:
    spec = resolved.spec
    yield TrackedDataset(
        name=f"{spec.dataset}-{spec.split}",
        digest=resolved.data_digest,
        source=sources.places.get(spec.dataset, spec.dataset),
        context="training",
        num_samples=len(sources.dataset(spec.dataset, spec.split)),
    )
    for part in planned.evaluations:
        if part.spec is not None:
            yield TrackedDataset(
                name=f"{part.benchmark}-{part.spec.split}",
                digest=part.spec.data_digest,
                source=sources.places.get(part.benchmark, part.benchmark),
                context="evaluation",
                num_samples=part.num_images,
            )
