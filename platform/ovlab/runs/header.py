"""A run for people: what it is called, which table asked for it, what it computes, what it is made with."""

from collections.abc import Iterator

from ovlab.runs.planned import PlannedRun, require_resolved
from ovlab.runs.sources import Sources
from ovlab.specs.evaluation import protocol_hash
from ovlab.specs.events import RunHeader
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Source, provenance
from ovlab.tracking.tags import TrackedDataset, datasets_tag, run_tags


def header_of(run: PlannedRun, source: Source, sources: Sources) -> RunHeader:
    """Tables that share a training share the run, which stands under the sweep that worked on it last.

    Raises InputError with the reasons why it has no identity, and where its data are not.
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
            **datasets_tag(list(_datasets(run, resolved, sources))),
        },
    )


def experiment(suite: str | None) -> str:
    """A suite has one of its own: the miniature's scores do not stand beside those of photographs."""
    return "ovlab" if suite is None else f"ovlab-{suite}"


def _datasets(run: PlannedRun, resolved: ResolvedTraining, sources: Sources) -> Iterator[TrackedDataset]:
    spec = resolved.spec
    yield TrackedDataset(
        name=f"{spec.dataset}-{spec.split}",
        digest=resolved.data_digest,
        source=sources.places.get(spec.dataset, spec.dataset),
        context="training",
        num_samples=len(sources.dataset(spec.dataset, spec.split)),
    )
    for part in run.evaluations:
        if part.spec is not None:
            yield TrackedDataset(
                name=f"{part.benchmark}-{part.spec.split}",
                digest=part.spec.data_digest,
                source=sources.places.get(part.benchmark, part.benchmark),
                context="evaluation",
                num_samples=part.num_images,
            )
