"""What was asked for at once: tables of a suite with their limits, and the runs that it takes.

Every command that asks for the same tables, suite and limits goes on with the same sweep.
"""

from dataclasses import dataclass
from functools import cached_property

from ovlab.runs.header import experiment
from ovlab.runs.planned import PlannedRun
from ovlab.specs.events import RunHeader
from ovlab.specs.fingerprint import fingerprint
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Source, provenance
from ovlab.tracking.tags import SUITE, Child, children_tag, run_tags


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The parent of the runs. The limits are those of a rehearsal."""

    suite: str
    tables: tuple[str, ...]
    limit_steps: int | None
    limit_images: int | None

    @property
    def run(self) -> str:
        """Its identity."""
        return fingerprint(self)

    @property
    def name(self) -> str:
        limits = ((self.limit_steps, "steps"), (self.limit_images, "images"))
        limited = ", ".join(f"{number} {what}" for number, what in limits if number is not None)
        return f"{', '.join(self.tables)} ({self.suite}{limited and f', rehearsal: {limited}'})"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs in the order in which they are made. `waiting`: the rows that follow when these choose their learning
    rates."""

    sweep: Sweep
    store: str
    runs: tuple[PlannedRun, ...]
    waiting: tuple[str, ...] = ()

    @cached_property
    def missing(self) -> tuple[PlannedRun, ...]:
        return tuple(run for run in self.runs if run.status == "missing")

    @cached_property
    def problems(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(problem for run in self.runs for problem in run.problems))

    def header(self, source: Source) -> RunHeader:
        """The sweep as a run, which names its children."""
        children = [
            Child(
                name=run.name,
                training=run.subject.fingerprint,
                evaluations={part.benchmark: part.fingerprint for part in run.evaluations},
            )
            for run in self.runs
        ]
        return RunHeader(
            run=self.sweep.run,
            name=self.sweep.name,
            experiment=experiment(self.sweep.suite),
            params=flat_params(self.sweep),
            tags={
                **run_tags(kind="table", fingerprint=self.sweep.run, provenance=provenance(source)),
                SUITE: self.sweep.suite,
                "ovlab.seeds": ", ".join(
                    sorted({str(run.subject.seed) for run in self.runs if run.subject.seed is not None})
                ),
                **children_tag(children),
            },
        )
