"""From a table, a suite and the records of a store to the cells: quoted, measured, or missing, which is never a number.

Records are found by what was trained and evaluated, without the data: a report needs none. Of two records of one cell
the later counts. Scores that do not mean the same are refused in one column, by name, rather than shown side by side.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from types import MappingProxyType
from typing import Literal, NamedTuple

from ovlab.methods.registry import subject_of
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import DenseClip, Protocol, Released, Scoring, Untrained, meaning_hash
from ovlab.specs.method import MethodConfig, Model
from ovlab.specs.run_limits import NO_LIMITS, Limits, limits_of
from ovlab.specs.scores import SCORES
from ovlab.specs.suite import Suite
from ovlab.specs.table import Column, Row, Table
from ovlab.specs.training import TrainingSpec
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store
from ovlab.sweeps.rates import awaits, with_chosen_rates

# Digits by which a message names a run or a digest.
_SHORT = 12

_ANY_SCORING = Scoring()


class CellRun(NamedTuple):
    """One seed of a measured cell; `value` is a fraction, None where nothing was counted. A subject that is not trained
    stands there for every seed."""

    seed: int
    value: float | None
    training: TrainingRecord | None
    evaluation: EvaluationRecord

    @property
    def subject(self) -> str:
        """The fingerprint of what was evaluated."""
        return self.evaluation.evaluation.subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """value: a fraction; the mean over `runs` of a measured cell; None for one that is missing, and for a dash.

    published: what the paper prints there, as a fraction, also beside a measured or a missing value. missing_seeds:
    those of the table that no run was found for. scoring_hash: of all its runs.
    """

    origin: Literal["quoted", "measured", "missing"]
    value: float | None
    published: float | None
    runs: tuple[CellRun, ...] = ()
    missing_seeds: tuple[int, ...] = ()

    @property
    def scoring_hash(self) -> str | None:
        return self.runs[0].evaluation.scoring_hash if self.runs else None

    @property
    def limits(self) -> Limits:
        """Of its first run, which are those of all: they follow from the row and from what is asked for."""
        if not self.runs:
            return NO_LIMITS
        training, evaluation = self.runs[0].training, self.runs[0].evaluation.evaluation
        return limits_of(None if training is None else training.training.spec, evaluation)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The cells of a table in a suite, by the row's key and the column's title, as they were asked for: with the limits
    of `ovlab run`."""

    table: Table
    suite: str
    cells: Mapping[tuple[str, str], Cell]
    limit_steps: int | None = None
    limit_images: int | None = None

    def row(self, key: str) -> tuple[Cell, ...]:
        """In the order of the columns."""
        return tuple(self.cells[key, column.title] for column in self.table.columns)


class Records:
    """The records of a store, in its order and by what they are of; read once for any number of tables."""

    def __init__(self, trainings: Iterable[TrainingRecord], evaluations: Iterable[EvaluationRecord]) -> None:
        self.trainings, self.evaluations = tuple(trainings), tuple(evaluations)
        self._of_spec: dict[TrainingSpec, list[TrainingRecord]] = {}
        self._of_subject: dict[tuple[str, str], list[EvaluationRecord]] = {}
        self._untrained: dict[tuple[Hashable, str], list[EvaluationRecord]] = {}
        for training in self.trainings:
            self._of_spec.setdefault(training.training.spec, []).append(training)
        for evaluation in self.evaluations:
            key = (evaluation.evaluation.subject, evaluation.evaluation.benchmark)
            self._of_subject.setdefault(key, []).append(evaluation)
            if evaluation.untrained is not None:
                self._untrained.setdefault((_asked(evaluation.untrained), key[1]), []).append(evaluation)

    def evaluation(
        self,
        spec: TrainingSpec | Model,
        benchmark: str,
        split: str,
        protocol: Protocol,
        limit_images: int | None,
        score: str,
    ) -> tuple[TrainingRecord | None, EvaluationRecord] | None:
        """The latest evaluation of a training, or of a model that needs none, that can know `score`, whatever its
        scoring; None where there is none."""
        found = [
            (training, evaluation)
            for training, evaluation in self._all_of(spec, benchmark)
            if evaluation.evaluation.split == split
            and evaluation.evaluation.protocol.scoring.kinds >= set(SCORES[score].needs)
            and evaluation.is_limited_to(limit_images)
            and replace(evaluation.evaluation.protocol, scoring=_ANY_SCORING) == replace(protocol, scoring=_ANY_SCORING)
        ]
        return max(found, key=lambda pair: (pair[1].finished, pair[1].fingerprint), default=None)

    def subjects(self, spec: TrainingSpec | Model) -> list[str]:
        """The fingerprints of what was evaluated of a training, or of a model that needs none."""
        if isinstance(spec, TrainingSpec):
            return [record.fingerprint for record in self._of_spec.get(spec, ())]
        found = [records for (asked, _), records in self._untrained.items() if asked == _asked(spec)]
        return list(dict.fromkeys(record.evaluation.subject for records in found for record in records))

    def _all_of(
        self, spec: TrainingSpec | Model, benchmark: str
    ) -> Iterator[tuple[TrainingRecord | None, EvaluationRecord]]:
        if not isinstance(spec, TrainingSpec):
            for evaluation in self._untrained.get((_asked(spec), benchmark), ()):
                yield None, evaluation
            return
        for training in self._of_spec.get(spec, ()):
            for evaluation in self._of_subject.get((training.fingerprint, benchmark), ()):
                yield training, evaluation


def _asked(subject: Untrained | Model) -> Hashable:
    """What a row knows of a subject that is not trained; the digest of its weights is not among it."""
    if isinstance(subject, Released):
        return subject.model
    return subject if isinstance(subject, MethodConfig) else (subject.clip, subject.prompt_templates)


def read_records(store: Store) -> Records:
    """All records of the store; damaged ones are named in a warning and left out."""
    return Records(store.trainings(), store.evaluations())


def cells_of(
    table: Table,
    suite: Suite,
    records: Records,
    *,
    seeds: Sequence[int] | None = None,
    seeds_by_row: Mapping[str, Sequence[int]] = MappingProxyType({}),
    limit_steps: int | None = None,
    limit_images: int | None = None,
) -> Grid:
    """The cells of `table` for its seeds, or for `seeds`, or for those that a row has by its key; with limits, those of
    a limited run of it.

    Raises InputError, naming two runs, where one column mixes ways of scoring or versions of the data or of what
    predicts, or one table CLIP weights or versions of the training data or of what trains.
    """
    table = with_chosen_rates(
        table,
        suite,
        records.trainings,
        records.evaluations,
        limit_steps=limit_steps,
        limit_images=limit_images,
    )
    cells = {
        (row.key, column.title): _cell(
            row,
            column,
            suite,
            records,
            seeds_by_row.get(row.key, seeds or table.seeds),
            limit_steps,
            limit_images,
        )
        for row in table.rows
        for column in table.columns
    }
    _require_comparable(table, cells)
    return Grid(table=table, suite=suite.name, cells=cells, limit_steps=limit_steps, limit_images=limit_images)


def _cell(
    row: Row,
    column: Column,
    suite: Suite,
    records: Records,
    seeds: Sequence[int],
    limit_steps: int | None,
    limit_images: int | None,
) -> Cell:
    percent = None if row.quoted is None else row.quoted.values.get(column.title)
    # The fraction nearest to what is printed: 16.9 / 100 is a little less than 0.169.
    published = None if percent is None else round(percent / 100, 6)
    if row.run is None:
        return Cell(origin="quoted", value=published, published=published)
    if awaits(row) is not None:
        return Cell(origin="missing", value=None, published=published, missing_seeds=tuple(seeds))
    runs = []
    for seed in seeds:
        spec = subject_of(row.run, suite, seed, limit_steps=limit_steps)
        model = spec.model if isinstance(spec, TrainingSpec) else spec
        protocol = row.run.protocol(suite, model, column.protocol)
        benchmark = suite.benchmark(column.benchmark)
        found = records.evaluation(spec, benchmark, column.split, protocol, limit_images, column.score)
        if found is not None:
            runs.append(CellRun(seed, found[1].figures.get(column.score), *found))
    values = [run.value for run in runs if run.value is not None]
    return Cell(
        origin="measured" if runs else "missing",
        value=fmean(values) if values else None,
        published=published,
        runs=tuple(runs),
        missing_seeds=tuple(seed for seed in seeds if seed not in {run.seed for run in runs}),
    )


def _require_comparable(table: Table, cells: Mapping[tuple[str, str], Cell]) -> None:
    clip = _Agreement(f"{table.name}: trained from different CLIP weights")
    data = _Agreement(f"{table.name}: trained on different versions of the data")
    trainer = _Agreement(f"{table.name}: trained by different versions")
    for column in table.columns:
        of_boundary = "boundary" in SCORES[column.score].needs
        rules = _Agreement(f"{table.name}, column {column.title!r}: scored by different rules")
        images = _Agreement(f"{table.name}, column {column.title!r}: scored on different data")
        predictions = _Agreement(f"{table.name}, column {column.title!r}: predicted by different versions")
        words = _Agreement(f"{table.name}, column {column.title!r}: asked for other names, or other classes are seen")
        for row in table.rows:
            for run in cells[row.key, column.title].runs:
                meaning = meaning_hash(run.evaluation.evaluation.protocol, of_boundary=of_boundary)
                rules.add(column.title, meaning, row, run, _rules(run.evaluation))
                images.add(column.title, run.evaluation.evaluation.data_digest, row, run)
                predictions.add(column.title, f"version {run.evaluation.evaluation.prediction_version}", row, run)
                # By which of its names a class is read is a method's own choice, where its protocol is.
                by_rule = run.evaluation.evaluation.protocol.synonyms if column.protocol == "own" else ""
                words.add(by_rule, run.evaluation.evaluation.vocabulary_digest, row, run)
                if run.training is None:
                    alone = run.evaluation.untrained
                    assert alone is not None  # by which it was found
                    clip_name = alone.clip.name if isinstance(alone, DenseClip) else alone.model.clip.name
                    clip.add(clip_name, alone.weights_digest, row, run)
                    continue
                training = run.training.training
                clip.add(training.spec.model.clip.name, training.weights_digest, row, run)
                data.add(training.spec.dataset, training.data_digest, row, run)
                trainer.add("", f"version {training.training_version}", row, run)


class _Agreement:
    """Every run of one kind has one value, or it is refused with that of an earlier run."""

    def __init__(self, complaint: str) -> None:
        self.complaint = complaint
        self.first: dict[str, tuple[str | None, str]] = {}

    def add(self, kind: str, value: str | None, row: Row, run: CellRun, words: str = "") -> None:
        name = f"row {row.key!r} (run {run.subject[:_SHORT]}, {_short(value)}{words})"
        expected, other = self.first.setdefault(kind, (value, name))
        if value != expected:
            raise InputError(f"{self.complaint}: {other} and {name}. Run the older one again, or leave it out.")


def _rules(record: EvaluationRecord) -> str:
    scoring = record.evaluation.protocol.scoring
    collapse = "" if scoring.collapse is None else f", background {scoring.collapse.background}"
    boundary = "" if scoring.boundary is None else f", boundary {scoring.boundary:g}"
    return f": mIoU over {scoring.headline}{collapse}{boundary}, evaluator version {scoring.evaluator_version}"


def _short(digest: str | None) -> str:
    return "random" if digest is None else digest[:_SHORT]
