"""The report as a folder of static pages: opened from disk, without a server and without a network.

index.html              the tables with their claims and charts, and what every run has cost
runs/<subject>.html     one page a run: a training, or what needs none
pictures/<sha256>.webp  those of the galleries, each once
style.css, script.js
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ovlab.files.whole_file import write_unsynced
from ovlab.report.ablations import Ablation, ablations
from ovlab.report.cells import Records
from ovlab.report.pages import copy_assets, write_page
from ovlab.report.result import result_of
from ovlab.report.run_page import Place, RunPage, Sibling, anchor, page_name, run_page
from ovlab.report.table_view import RowView, TableView
from ovlab.specs.evaluation import Untrained
from ovlab.store.pictures import Pictures, read_pictures
from ovlab.store.record import Cost, EvaluationRecord, TrainingRecord
from ovlab.store.store import Store
from ovlab.sweeps.timeline import read_all_timelines

NUM_TIMELINES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownTable:
    """A table on the index, with the charts of each of its parts that has any."""

    view: TableView
    charts: tuple[Ablation, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownRun:
    """A run in the list of all runs, with the cost of its training, if it has one, and of all its evaluations, and what
    it was limited to, in words."""

    fingerprint: str
    summary: str
    seed: int | None
    finished: str
    training_costs: tuple[Cost, ...]
    page: str
    places: tuple[Place, ...]
    num_evaluations: int
    evaluations_cost: tuple[Cost, ...]
    limits: str

    @property
    def costs(self) -> tuple[Cost, ...]:
        return (*self.training_costs, *self.evaluations_cost)

    @property
    def seconds(self) -> float:
        return sum(spent.seconds for spent in self.costs)

    @property
    def lost_seconds(self) -> float:
        return sum(spent.lost_seconds for spent in self.costs)

    @property
    def num_attempts(self) -> int:
        return sum(len(spent.attempts) for spent in self.costs)


def write_site(
    views: Sequence[TableView], records: Records, store: Store, folder: Path, *, methods: TableView | None = None
) -> Path:
    """Write the site of `views` into `folder`, with a page for every training of the records and for each subject that
    needs none; returns its index.html.

    `records`: those of the store. `methods`: the view that the first lines show what is measured of. Files of an
    earlier site there are replaced. What is damaged in the store is named in a warning and left out.
    """
    trainings = {record.fingerprint: record for record in records.trainings}
    subjects: dict[str, TrainingRecord | Untrained] = dict(trainings)
    subjects |= {
        record.evaluation.subject: record.untrained for record in records.evaluations if record.untrained is not None
    }
    evaluations: dict[str, list[EvaluationRecord]] = {fingerprint: [] for fingerprint in subjects}
    for record in records.evaluations:
        if record.evaluation.subject in subjects:
            evaluations[record.evaluation.subject].append(record)
    order = _benchmark_order(views)
    for found in evaluations.values():
        found.sort(key=lambda record: (order.get(record.evaluation.benchmark, len(order)), record.fingerprint))
    places = _places(views if methods is None else (*views, methods), subjects)

    copy_assets(folder)
    runs = []
    # Those of the tables first, in the order of their rows.
    for fingerprint in dict.fromkeys((*places, *subjects)):
        here = places.get(fingerprint, [])
        page = run_page(subjects[fingerprint], evaluations[fingerprint], store, here, _siblings(fingerprint, places))
        _copy_pictures(page, store, folder / "pictures")
        write_page(folder / "runs" / page_name(fingerprint), "run.html.j2", page=page, root="../")
        runs.append(_shown_run(page))
    index = folder / "index.html"
    write_page(
        index,
        "index.html.j2",
        result=result_of(views, methods),
        tables=[_shown_table(view, trainings) for view in views],
        runs=runs,
        links=_links(evaluations),
        timelines=sorted(read_all_timelines(store, subjects), key=lambda one: -one.began)[:NUM_TIMELINES],
        store=str(store),
        root="",
    )
    return index


def _shown_table(view: TableView, trainings: dict[str, TrainingRecord]) -> ShownTable:
    specs = {fingerprint: record.training.spec for fingerprint, record in trainings.items()}
    return ShownTable(view=view, charts=tuple(chart for part in view.parts for chart in ablations(part, specs)))


def _shown_run(page: RunPage) -> ShownRun:
    records, training = [part.record for part in page.evaluations], page.training
    return ShownRun(
        fingerprint=page.fingerprint,
        summary=page.summary,
        seed=None if training is None else training.training.spec.seed,
        finished=max(record.finished for record in records) if training is None else training.finished,
        training_costs=() if training is None else (training.cost,),
        page=f"runs/{page_name(page.fingerprint)}",
        places=page.places,
        num_evaluations=len(records),
        evaluations_cost=tuple(record.cost for record in records),
        limits=page.limits,
    )


def _benchmark_order(views: Sequence[TableView]) -> dict[str, int]:
    benchmarks = dict.fromkeys(column.benchmark for view in views for part in view.parts for column in part.columns)
    return {benchmark: position for position, benchmark in enumerate(benchmarks)}


def _measured_rows(views: Iterable[TableView]) -> Iterable[tuple[TableView, RowView]]:
    for view in views:
        for part in view.parts:
            for row in part.rows:
                if row.origin == "measured":
                    yield view, row


def _places(views: Iterable[TableView], subjects: Container[str]) -> dict[str, list[Place]]:
    """The rows that each run stands behind, each once."""
    places: dict[str, list[Place]] = {}
    for view, row in _measured_rows(views):
        for run in dict.fromkeys((run.training, run.seed) for cell in row.cells for run in cell.runs):
            fingerprint, seed = run
            if fingerprint in subjects:
                places.setdefault(fingerprint, []).append(Place(view.name, row.key, row.label, seed))
    return places


def _siblings(fingerprint: str, places: dict[str, list[Place]]) -> list[Sibling]:
    """The other seeds of the first row that a run stands behind, by seed."""
    rows = [place[:2] for place in places.get(fingerprint, ())[:1]]
    return sorted(
        Sibling(place.seed, page_name(other))
        for other, others in places.items()
        for place in others
        if other != fingerprint and place.seed is not None and place[:2] in rows
    )


def _links(evaluations: dict[str, list[EvaluationRecord]]) -> dict[str, str]:
    """Where the page of its run shows an evaluation, by the evaluation's fingerprint."""
    return {
        record.fingerprint: f"runs/{page_name(training)}#{anchor(record)}"
        for training, found in evaluations.items()
        for record in found
    }


def _copy_pictures(page: RunPage, store: Store, folder: Path) -> None:
    for part in page.evaluations:
        pictures = Pictures(pictures=tuple(shown.picture for shown in part.pictures))
        missing = [name for name in pictures.files if not (folder / name).exists()]
        for name, content in read_pictures(store, part.record.fingerprint, missing).items():
            write_unsynced(folder / name, content)
