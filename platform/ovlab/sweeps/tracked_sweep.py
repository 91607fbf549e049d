"""What was asked for, as the tracking server shows it: the parent of the runs that were made for it.

Every command that asks for the same tables, suite and limits goes on with the same parent.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ovlab.runs.failure import Failure
from ovlab.runs.planned import Plan
from ovlab.specs.fingerprint import fingerprint
from ovlab.store.store import Store
from ovlab.tracking.lifecycle import tracked
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Source, provenance
from ovlab.tracking.tags import run_tags
from ovlab.tracking.tracker import RunHeader, Tracker


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """What was asked for, of which the runs are the children."""

    suite: str
    tables: tuple[str, ...]
    limit_steps: int | None
    limit_images: int | None

    @property
    def run(self) -> str:
        """The identity of the parent."""
        return fingerprint(self)

    @property
    def name(self) -> str:
        limits = ((self.limit_steps, "steps"), (self.limit_images, "images"))
        limited = ", ".join(f"{number} {what}" for number, what in limits if number is not None)
        return f"{', '.join(self.tables)} ({self.suite}{limited and f', rehearsal: {limited}'})"

    @property
    def experiment(self) -> str:
        # A suite of its own: the miniature's scores do not stand beside those of photographs.
        return f"ovlab-{self.suite}"


def sweep_of(plan: Plan) -> Sweep:
    return Sweep(suite=plan.suite, tables=plan.tables, limit_steps=plan.limit_steps, limit_images=plan.limit_images)


@contextmanager
def tracked_sweep(
    plan: Plan, store: Store, tracker: Tracker, source: Source, failures: Sequence[Failure]
) -> Iterator[None]:
    """The parent run while the block makes its children. It has failed when there are `failures` at the end."""
    sweep = sweep_of(plan)
    header = RunHeader(
        run=sweep.run,
        name=sweep.name,
        experiment=sweep.experiment,
        params=flat_params(sweep),
        tags={
            **run_tags(kind="table", fingerprint=sweep.run, provenance=provenance(source)),
            "ovlab.suite": sweep.suite,
            "ovlab.seeds": ", ".join(sorted({str(run.training.spec.seed) for run in plan.runs})),
        },
    )
    with tracked(tracker, header) as outcome:
        try:
            yield
        finally:
            tracker.table("runs.json", _run_table(plan, store, failures))
        if failures:
            outcome.failed(f"{len(failures)} of {len(plan.runs)} runs: {failures[0].run.name}: {failures[0].cause}")


def _run_table(plan: Plan, store: Store, failures: Sequence[Failure]) -> dict[str, list[object]]:
    """Each run of the plan with its mIoU on each benchmark, where the store has it; shared runs are there too."""
    causes = {id(failure.run): failure.cause for failure in failures}
    benchmarks = dict.fromkeys(part.benchmark for run in plan.runs for part in run.evaluations)
    table: dict[str, list[object]] = {
        "run": [run.name for run in plan.runs],
        "fingerprint": [run.training.fingerprint for run in plan.runs],
        "failed": [causes.get(id(run)) for run in plan.runs],
    }
    for benchmark in benchmarks:
        parts = [{part.benchmark: part for part in run.evaluations}.get(benchmark) for run in plan.runs]
        fingerprints = [None if part is None else part.fingerprint for part in parts]
        records = [None if print_ is None else store.evaluation(print_) for print_ in fingerprints]
        table[benchmark] = [None if record is None else record.figures["miou"] for record in records]
    return table
