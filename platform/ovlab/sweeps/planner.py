"""From tables, a suite and a store to the runs that stand behind the cells: what is done, what is missing, how far.

Nothing is computed and nothing is written. A run whose data or CLIP weights are not to be found has no fingerprint; it
is "blocked", with the reason, and the others are planned all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from logoseg.clip.word_list import require_words
from ovlab.datasets.sample import SegmentationDataset
from ovlab.runs.identity import resolve_evaluation, resolve_untrained
from ovlab.runs.planned import PlannedEvaluation, PlannedRun, PlannedTraining, PlannedUntrained
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import EvaluationSpec, Protocol, Untrained, evaluation_fingerprint
from ovlab.specs.fingerprint import fingerprint as fingerprint_of
from ovlab.specs.method import Model, method_name
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import Suite
from ovlab.specs.table import CellName, Table
from ovlab.specs.training import TrainingSpec
from ovlab.store.artifacts import file_sha256
from ovlab.store.count_shards import plan_shards
from ovlab.store.store import Store, evaluation_folder, training_folder
from ovlab.sweeps.demand import Demand, demands
from ovlab.sweeps.rates import awaited, awaits, with_chosen_rates
from ovlab.sweeps.speed import Speeds
from ovlab.sweeps.sweep import Plan, Sweep

# For a specification of which everything but the subject is known.
_NO_SUBJECT = "0" * 64


def make_plan(
    tables: Sequence[Table],
    suite: Suite,
    store: Store,
    sources: Sources,
    *,
    seeds: Sequence[int] | None = None,
    seeds_by_row: Mapping[tuple[str, str], Sequence[int]] = MappingProxyType({}),
    limit_steps: int | None = None,
    limit_images: int | None = None,
) -> Plan:
    """What `tables` need in `suite`, held against `store`, for the seeds that `demands` says. The limits make other
    runs, which fill no unlimited cell. Of a row whose learning rate is not chosen, the runs that choose it are planned.

    Raises InputError for a table that the suite cannot train, and ModelError for words that a CLIP of it does not know;
    what is not found becomes a problem of the plan.
    """
    if limit_images is not None and limit_images < 1:
        raise InputError(f"--limit-images must be at least 1, got {limit_images}.")
    planner = _Planner(store, sources, limit_images)
    trainings, evaluations = planner.speeds.trainings, planner.speeds.evaluations
    rated = [
        with_chosen_rates(table, suite, trainings, evaluations, limit_steps=limit_steps, limit_images=limit_images)
        for table in tables
    ]
    waiting = [
        (table.name, row)
        for table in rated
        for row in table.rows
        if awaits(row) and seeds_by_row.get((table.name, row.key), table.seeds)
    ]
    # Those that the caller asks for are there anyway.
    first = [table for table in awaited(row for _, row in waiting) if table.name not in {other.name for other in rated}]
    seeds_by_row = {
        **{(table.name, row.key): table.seeds for table in first for row in table.rows},
        **seeds_by_row,
        **{(table, row.key): () for table, row in waiting},
    }
    wanted = demands([*first, *rated], suite, seeds=seeds, seeds_by_row=seeds_by_row, limit_steps=limit_steps)
    sweep = Sweep(
        suite=suite.name,
        tables=tuple(table.name for table in tables),
        limit_steps=limit_steps,
        limit_images=limit_images,
    )
    runs = (replace(planner.run(demand), suite=suite.name, sweep=sweep.run) for demand in wanted)
    return Plan(
        sweep=sweep,
        store=str(store),
        runs=tuple(runs),
        waiting=tuple(f"{table}, row {row.key!r}" for table, row in waiting),
    )


class _Planner:
    """Opens each data set, hashes each file and reads each record once."""

    def __init__(self, store: Store, sources: Sources, limit_images: int | None) -> None:
        self.store, self.sources, self.limit_images = store, sources, limit_images
        self.speeds = Speeds(store)
        self.done = {record.fingerprint for record in self.speeds.trainings}
        self.done |= {record.fingerprint for record in self.speeds.evaluations}
        self.begun = {*store.folder.folders("trainings"), *store.folder.folders("evaluations")} - self.done
        self.datasets: dict[tuple[str, str], SegmentationDataset | InputError] = {}
        self.weights_digests: dict[str, str | None] = {}
        self.evaluations: dict[tuple[str, str, Protocol], tuple[EvaluationSpec, int, int]] = {}

    def run(self, demand: Demand) -> PlannedRun:
        training = (
            self._training(demand.spec, demand.preset)
            if isinstance(demand.spec, TrainingSpec)
            else self._untrained(demand.spec, demand.preset)
        )
        evaluations = tuple(
            self._evaluation(training, benchmark, split, protocol, tuple(cells))
            for (benchmark, split, protocol), cells in demand.evaluations.items()
        )
        return PlannedRun(subject=training, evaluations=evaluations)

    def _training(self, spec: TrainingSpec, preset: str) -> PlannedTraining:
        problems = tuple(
            problem
            for problem in (
                _problem(lambda: self._dataset(spec.dataset, spec.split)),
                _problem(lambda: self.sources.clip_file(preset)),
            )
            if problem is not None
        )
        if problems:
            return PlannedTraining(spec=spec, preset=preset, status="blocked", problems=problems)
        dataset = self._dataset(spec.dataset, spec.split)
        names = [(name,) for name in dataset.class_names]
        require_words(spec.model.clip.name, names, spec.model.prompt_templates, spec.dataset)
        resolved = ResolvedTraining(
            spec=spec,
            data_digest=dataset.digest,
            weights_digest=self._weights_digest(preset),
        )
        fingerprint = training_fingerprint(resolved)
        is_done = fingerprint in self.done
        step = spec.schedule.steps if is_done else self._step_in_store(fingerprint)
        return PlannedTraining(
            spec=spec,
            preset=preset,
            status="done" if is_done else "missing",
            resolved=resolved,
            fingerprint=fingerprint,
            step=step,
            estimate=None if is_done else self.speeds.training(spec, spec.schedule.steps - step),
        )

    def _untrained(self, model: Model, preset: str) -> PlannedUntrained:
        try:
            subject = resolve_untrained(model, self.sources.clip_file(preset), method_name(model))
        except InputError as error:
            return PlannedUntrained(model=model, preset=preset, status="blocked", problems=(str(error),))
        return PlannedUntrained(
            model=model, preset=preset, status="done", subject=subject, fingerprint=fingerprint_of(subject)
        )

    def _evaluation(
        self,
        training: PlannedTraining | PlannedUntrained,
        benchmark: str,
        split: str,
        protocol: Protocol,
        cells: tuple[CellName, ...],
    ) -> PlannedEvaluation:
        try:
            anonymous, num_images, num_shards = self._anonymous(benchmark, split, protocol)
        except InputError as error:
            return PlannedEvaluation(benchmark=benchmark, status="blocked", cells=cells, problems=(str(error),))
        asked = self._dataset(benchmark, split).label_space(protocol.synonyms).asked
        place = f"{cells[0].table}, row {cells[0].row!r}, column {cells[0].column!r}"
        require_words(training.model.clip.name, asked, protocol.prompt_templates, place)
        if training.fingerprint is None:
            return PlannedEvaluation(
                benchmark=benchmark, status="blocked", cells=cells, num_images=num_images, num_shards=num_shards
            )
        spec = replace(anonymous, subject=training.fingerprint)
        fingerprint = evaluation_fingerprint(spec)
        is_done = fingerprint in self.done
        num_done = num_shards if is_done else self._shards_in_store(fingerprint)
        num_left = round(num_images * (1 - num_done / num_shards))
        return PlannedEvaluation(
            benchmark=benchmark,
            status="done" if is_done else "missing",
            cells=cells,
            spec=spec,
            fingerprint=fingerprint,
            num_images=num_images,
            num_shards=num_shards,
            num_shards_done=num_done,
            estimate=None if is_done else self.speeds.evaluation(spec, _evaluated(training), num_left),
        )

    def _anonymous(self, benchmark: str, split: str, protocol: Protocol) -> tuple[EvaluationSpec, int, int]:
        """The evaluation without its subject, the number of its images, and that of its shards."""
        key = (benchmark, split, protocol)
        if key not in self.evaluations:
            dataset = self._dataset(benchmark, split)
            spec = resolve_evaluation(_NO_SUBJECT, dataset, split, protocol, num_images=self.limit_images)
            ids = dataset.sample_ids[: spec.num_images]
            self.evaluations[key] = (spec, len(ids), len(plan_shards(ids)))
        return self.evaluations[key]

    def _dataset(self, name: str, split: str) -> SegmentationDataset:
        if (name, split) not in self.datasets:
            try:
                self.datasets[name, split] = self.sources.dataset(name, split)
            except InputError as error:
                self.datasets[name, split] = error
        found = self.datasets[name, split]
        if isinstance(found, InputError):
            raise found
        return found

    def _weights_digest(self, preset: str) -> str | None:
        if preset not in self.weights_digests:
            file = self.sources.clip_file(preset)
            self.weights_digests[preset] = None if file is None else file_sha256(file)
        return self.weights_digests[preset]

    def _step_in_store(self, fingerprint: str) -> int:
        """The update of the newest checkpoint there; 0 for none."""
        if fingerprint not in self.begun:
            return 0
        names = self.store.folder.sizes(f"{training_folder(fingerprint)}/checkpoints")
        return max((int(name.split("-")[1]) for name in names), default=0)

    def _shards_in_store(self, fingerprint: str) -> int:
        if fingerprint not in self.begun:
            return 0
        return len(self.store.folder.sizes(f"{evaluation_folder(fingerprint)}/counts"))


def _evaluated(subject: PlannedTraining | PlannedUntrained) -> Model | Untrained:
    if isinstance(subject, PlannedUntrained) and subject.subject is not None:
        return subject.subject
    return subject.model


def _problem(find: Callable[[], object]) -> str | None:
    """What is wrong with the input that `find` looks for; None when it is there."""
    try:
        find()
    except InputError as error:
        return str(error)
    return None
