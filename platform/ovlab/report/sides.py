"""Sides that a person names to have them compared: one run or several, by digits, by a row, by CLIP or by a folder."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logoseg.presets import PRESETS
from ovlab.methods.registry import subject_of
from ovlab.metrics.crossed import Side, difference_of, side_of
from ovlab.metrics.resampling import Resamples, resample
from ovlab.report.cells import read_records
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import DenseClip
from ovlab.specs.suite import Suite
from ovlab.specs.table_file import load_table
from ovlab.store.pairs import Cell, comparable_tables, evaluations_of
from ovlab.store.record import EvaluationRecord
from ovlab.store.store import Store, open_store

_CLIP = "clip:"


@dataclass(frozen=True, kw_only=True, slots=True)
class SideRun:
    """One run of a side. `seed` is None for what is not trained, and for a training that its store does not know."""

    name: str
    store: Store
    seed: int | None
    is_trained: bool
    cells: Mapping[Cell, EvaluationRecord]

    @property
    def number(self) -> int:
        """Its seed, or a number of its own, by which it is paired with none."""
        return self.seed if self.seed is not None else int(next(iter(self.cells.values())).evaluation.subject, 16)


class Sides:
    """The sides that can be named in `store`, on all benchmarks or on one; rows are those of `suite`."""

    def __init__(self, store: Store, suite: Suite, benchmark: str | None = None) -> None:
        self.store, self.suite, self.benchmark = store, suite, benchmark
        self.records = read_records(store)

    def named(self, side: str) -> list[SideRun]:
        """The runs of a side. Raises InputError for what there is not, and for one that is there twice."""
        runs = [run for word in side.split(",") for run in self._runs(word)]
        names = [run.name for run in runs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{side}: {twice} is there twice.")
        for seed in (seeds := [run.seed for run in runs if run.seed is not None]):
            if seeds.count(seed) > 1:
                raise InputError(f"{side}: two runs have the seed {seed}; a side is runs of one row that differ in it.")
        return runs

    def _runs(self, word: str) -> Iterator[SideRun]:
        if Path(word).is_dir():
            store = open_store(word)
            records = read_records(store).evaluations
            for subject in dict.fromkeys(record.evaluation.subject for record in records):
                yield self._run(word, store, subject, records)
            if not records:
                raise InputError(f"{word}: nothing was evaluated there; `ovlab evaluate {word}` does it.")
        elif word.startswith(_CLIP):
            yield from self._named_subjects(word, self._clip(word.removeprefix(_CLIP)))
        elif ":" in word:
            yield from self._named_subjects(word, self._row(*word.rsplit(":", 1)))
        else:
            yield self._run(word, self.store, word, self.records.evaluations)

    def _named_subjects(self, word: str, subjects: Sequence[str]) -> Iterator[SideRun]:
        evaluated = {record.evaluation.subject for record in self.records.evaluations}
        found = [subject for subject in subjects if subject in evaluated]
        if not found:
            raise InputError(f"no evaluation of {word} in {self.store}; `ovlab run` or `ovlab evaluate` makes it.")
        for subject in found:
            yield self._run(word, self.store, subject, self.records.evaluations)

    def _clip(self, preset: str) -> list[str]:
        if preset not in PRESETS:
            near = difflib.get_close_matches(preset, PRESETS, n=1, cutoff=0.0)[0]
            raise InputError(f"{_CLIP}{preset}: no such preset. The nearest is {near!r}.")
        clip = PRESETS[preset]().clip
        return list(
            dict.fromkeys(
                record.evaluation.subject
                for record in self.records.evaluations
                if isinstance(record.untrained, DenseClip) and record.untrained.clip == clip
            )
        )

    def _row(self, table_name: str, key: str) -> list[str]:
        rows = {row.key: row for row in load_table(table_name).rows}
        if key not in rows:
            near = difflib.get_close_matches(key, rows, n=1, cutoff=0.0)[0]
            raise InputError(f"{table_name} has no row {key!r}. The nearest is {near!r}.")
        run = rows[key].run
        if run is None:
            raise InputError(f"{table_name}:{key} is quoted; only what was measured here can be compared.")
        seeds = sorted({record.training.spec.seed for record in self.records.trainings} | {0})
        specs = dict.fromkeys(subject_of(run, self.suite, seed) for seed in seeds)
        # Of two trainings of one spec, the later counts.
        return [subjects[-1] for spec in specs if (subjects := self.records.subjects(spec))]

    def _run(self, word: str, store: Store, subject: str, records: Sequence[EvaluationRecord]) -> SideRun:
        asked = [record for record in records if self.benchmark in (None, record.evaluation.benchmark)]
        cells = evaluations_of(asked, subject, str(store))
        record = next(iter(cells.values()))
        training = store.training(record.evaluation.subject)
        return SideRun(
            name=word if word == subject else f"{word} ({record.evaluation.subject[:12]})",
            store=store,
            seed=None if training is None else training.training.spec.seed,
            is_trained=record.untrained is None,
            cells=cells,
        )


def compare_sides(
    first: Sequence[SideRun],
    second: Sequence[SideRun],
    cell: Cell,
    *,
    num_resamples: int,
    seed: int,
    level: float,
) -> dict[str, Any]:
    """Every score that all runs have, as plain values: means, difference, interval, p-value, shares of the noise."""
    runs = [*first, *second]
    counts = comparable_tables([(run.name, run.store, run.cells[cell]) for run in runs])
    seen = first[0].cells[cell].seen_classes
    sampled = [resample(one, seen, num_resamples=num_resamples, seed=seed) for one in counts]
    names = [name for name in sampled[0].full if all(name in one.full for one in sampled)]
    return {
        "benchmark": str(cell),
        "first": [run.cells[cell].fingerprint for run in first],
        "second": [run.cells[cell].fingerprint for run in second],
        "num_images": counts[0].num_images,
        "num_resamples": num_resamples,
        "mean_absent_classes": sampled[0].mean_absent,
        "scores": {
            name: _entry(_side(first, sampled[: len(first)], name), _side(second, sampled[len(first) :], name), level)
            for name in names
        },
    }


def _side(runs: Sequence[SideRun], sampled: Sequence[Resamples], score: str) -> Side:
    by_seed = {run.number: one for run, one in zip(runs, sampled, strict=True)}
    return side_of(by_seed, score, is_trained=any(run.is_trained for run in runs))


def _entry(first: Side, second: Side, level: float) -> dict[str, Any]:
    found = difference_of(first, second, level=level)
    entry = {
        "first": first.mean,
        "second": second.mean,
        "difference": found.difference,
        "interval": found.interval,
        "p_value": found.p_value,
        "seed_share": found.seed_share,
        "image_share": found.image_share,
    }
    # NaN is no JSON: where nothing was counted, there is no value.
    return {name: None if value != value else value for name, value in entry.items()}
