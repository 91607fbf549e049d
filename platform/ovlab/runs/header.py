"""A run for people: what it is called, which table asked for it, what it computes, what it is made with."""

from collections.abc import Iterator

from ovlab.runs.planned import PlannedRun, require_resolved
from ovlab.runs.sources import Sources
from ovlab.specs.evaluation import protocol_hash
from ovlab.specs.events import RunHeader
from ovlab.specs.resolved import ResolvedTraining
from ovlab.tracking.params import flat_params
from ovlab.tracking.provenance import Source, provenance
from ovlab.tracking.tags import SUITE, TrackedDataset, datasets_tag, run_tags


def header_of(run: PlannedRun, source: Source, sources: Sources) -> RunHeader:
    """Tables that share a training share the run, which stands under the sweep that worked on it last.

    Raises InputError with the reasons why it has no identity, and where its data are not.
    """
    identity = require_resolved(run.subject)
    trained = identity if isinstance(identity, ResolvedTraining) else None
    evaluations = [part.spec for part in run.evaluations if part.spec is not None]
    return RunHeader(
        run=str(run.subject.fingerprint),
        name=run.name,
        experiment=experiment(run.suite),
        parent=run.sweep,
        params=flat_params(identity if trained is None else trained.spec),
        tags={
            **run_tags(
                kind="evaluation" if trained is None else "training",
                fingerprint=str(run.subject.fingerprint),
                provenance=provenance(source),
                data_digests=({} if trained is None else {trained.spec.dataset: trained.data_digest})
                | {part.benchmark: part.data_digest for part in evaluations},
                protocols={part.benchmark: protocol_hash(part.protocol) for part in evaluations},
            ),
            **({} if run.suite is None else {SUITE: run.suite}),
            "ovlab.preset": run.subject.preset,
            "ovlab.rows": ", ".join(f"{table} {row}" for table, row in run.rows),
            **({} if trained is None else {"ovlab.seed": str(trained.spec.seed)}),
            **datasets_tag(list(_datasets(run, trained, sources))),
        },
    )


def experiment(suite: str | None) -> str:
    """A suite has one of its own: the miniature's scores do not stand beside those of photographs."""
    return "ovlab" if suite is None else f"ovlab-{suite}"


def _datasets(run: PlannedRun, trained: ResolvedTraining | None, sources: Sources) -> Iterator[TrackedDataset]:
    if trained is not None:
        spec = trained.spec
        yield TrackedDataset(
            name=f"{spec.dataset}-{spec.split}",
            digest=trained.data_digest,
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
