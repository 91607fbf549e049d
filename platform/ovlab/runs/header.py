"""A run for people: what it is called, which table asked for it, what it computes, what it is made with."""

from ovlab.runs.planned import PlannedRun, require_resolved
from ovlab.specs.evaluation import protocol_hash
from ovlab.specs.events import RunHeader
from ovlab.specs.resolved import training_fingerprint
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Source, provenance
from ovlab.tracking.tags import run_tags


def header_of(run: PlannedRun, source: Source) -> RunHeader:
    """Tables that share a training share the run, which stands under the sweep that worked on it last.

    Raises InputError with the reasons why it has no identity.
    """
    resolved = require_resolved(run.training)
    fingerprint, spec = training_fingerprint(resolved), resolved.spec
    evaluations = [part.spec for part in run.evaluations if part.spec is not None]
    return RunHeader(
        run=fingerprint,
        name=run.name,
        experiment=experiment(run.suite),
        parent=run.sweep,
        params=flat_params(spec),
        tags={
            **run_tags(
                kind="training",
                fingerprint=fingerprint,
                provenance=provenance(source),
                data_digests={spec.dataset: resolved.data_digest}
                | {part.benchmark: part.data_digest for part in evaluations},
                protocols={part.benchmark: protocol_hash(part.protocol) for part in evaluations},
            ),
            **({} if run.suite is None else {"ovlab.suite": run.suite}),
            "ovlab.preset": run.training.preset,
            "ovlab.rows": ", ".join(f"{table} {row}" for table, row in run.rows),
            "ovlab.seed": str(spec.seed),
        },
    )


def experiment(suite: str | None) -> str:
    """A suite has one of its own: the miniature's scores do not stand beside those of photographs."""
    return "ovlab" if suite is None else f"ovlab-{suite}"
