"""The missing runs of a plan, made under the eyes of the journal of their sweep."""

from ovlab.files.lock import locked
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.journaling import sigterm_raises, verdict
from ovlab.specs.events import Ended
from ovlab.store.journal import end_silent, open_journal
from ovlab.sweeps.sweep import Plan


def make_sweep(plan: Plan, context: RunContext, executor: Executor) -> list[Failure]:
    """Make what is missing; returns the runs that were not made, each with its cause.

    Raises Stopped when `context.stop` says so, and InputError when another process is at the sweep.
    """
    sweep, header = plan.sweep, plan.header(context.source)
    failures = [Failure(run, " ".join(run.problems)) for run in plan.runs if run.status == "blocked"]
    with locked(context.lock(sweep.run), sweep.name), sigterm_raises():
        end_silent(context.store, sweep.run)
        with open_journal(context.store, header) as journal:
            try:
                executor.make(plan.missing, context, failures.append)
            except BaseException as error:
                status, reason = verdict(error)
                journal.write(Ended(status=status, reason=reason))
                raise
            journal.write(_end(plan, failures))
    return failures


def _end(plan: Plan, failures: list[Failure]) -> Ended:
    if not failures:
        return Ended(status="FINISHED")
    causes = "; ".join(f"{failure.run.name}: {failure.cause}" for failure in failures)
    return Ended(status="FAILED", reason=f"{len(failures)} of {len(plan.runs)} runs: {causes}")
