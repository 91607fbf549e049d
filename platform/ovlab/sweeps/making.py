"""The missing runs of a plan, made under the eyes of the journal of their sweep."""

from ovlab.runs.alone import alone
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.journal_observer import is_told
from ovlab.runs.journaling import sigterm_raises, verdict
from ovlab.runs.observer import Observer
from ovlab.runs.planned import PlannedRun, PlannedUntrained
from ovlab.specs.events import Ended, Places
from ovlab.store.journal import Journal, end_silent, open_journal
from ovlab.store.pairs import stored_counts
from ovlab.store.record import DamagedError
from ovlab.store.store import Store
from ovlab.sweeps.search import is_given_up
from ovlab.sweeps.sweep import Plan


class _Room(Observer):
    """Keeps in the journal of a sweep how many runs there is room for."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def on_places(self, places: Places) -> None:
        self.journal.write(places)


def make_sweep(plan: Plan, context: RunContext, executor: Executor) -> list[Failure]:
    """Make what `to_make` names; returns the runs that were not made, each with its cause.

    Raises Stopped when `context.stop` says so, and InputError when another process is at the sweep.
    """
    sweep, header = plan.sweep, plan.header(context.source)
    failures = [Failure(run, " ".join(run.problems)) for run in plan.runs if run.status == "blocked"]
    with alone(context.store, sweep.run, sweep.name), sigterm_raises():
        end_silent(context.store, sweep.run)
        with open_journal(context.store, header) as journal:
            try:
                runs = to_make(plan, context.store)
                executor.make(runs, context.heard_by(_Room(journal)), failures.append)
                told = [failure.run for failure in failures]
                failures += [
                    Failure(run, "nothing was said of it, and its records are not in the store.")
                    for run in runs
                    if run not in told and not _is_there(run, context.store) and not is_given_up(run, context.store)
                ]
            except BaseException as error:
                status, reason = verdict(error)
                journal.write(Ended(status=status, reason=reason))
                raise
            journal.write(_end(plan, failures))
    return failures


def to_make(plan: Plan, store: Store) -> tuple[PlannedRun, ...]:
    """The runs that are missing; those that are whole but were killed before they could say so: they may lack
    pictures, and nobody was told of their last records; and those of which counts are damaged."""
    again = (
        run
        for run in plan.runs
        if run.status == "done"
        and run.subject.fingerprint
        and not (is_told(store, run.subject.fingerprint) and _has_its_counts(store, run))
    )
    return (*plan.missing, *again)


def _has_its_counts(store: Store, run: PlannedRun) -> bool:
    for part in run.evaluations:
        record = None if part.fingerprint is None else store.evaluation(part.fingerprint)
        try:
            if record is not None:
                stored_counts(store, record)
        except DamagedError:  # named by whoever counts again
            return False
    return True


def _is_there(run: PlannedRun, store: Store) -> bool:
    """Whether the store has the records of the run, whatever its executor says."""
    evaluations = [part.fingerprint for part in run.evaluations if part.fingerprint is not None]
    training = run.subject
    is_trained = training.fingerprint is not None and (
        isinstance(training, PlannedUntrained) or store.training(training.fingerprint) is not None
    )
    return is_trained and all(store.evaluation(fingerprint) is not None for fingerprint in evaluations)


def _end(plan: Plan, failures: list[Failure]) -> Ended:
    if not failures:
        return Ended(status="FINISHED")
    causes = "; ".join(f"{failure.run.name}: {failure.cause}" for failure in failures)
    return Ended(status="FAILED", reason=f"{len(failures)} of {len(plan.runs)} runs: {causes}")
