"""From the journals of a store to a tracking server, each event once: from any machine that sees the store, any time.

What an event or a record becomes there depends on the store alone, so that two who publish the same run tell the same.
How far a server was told is kept beside the journal; to tell it again, as after a kill, changes nothing there.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from ovlab.specs.errors import InputError, StoreError
from ovlab.specs.events import Recorded, RunHeader, Started
from ovlab.store.artifacts import weights_uri
from ovlab.store.contact_sheet import contact_sheet
from ovlab.store.journal import (
    RunLog,
    Told,
    end_silent,
    journal_sizes,
    journaled_runs,
    read_journal,
    status_of,
    why_dead,
)
from ovlab.store.record import DamagedError
from ovlab.store.store import Store
from ovlab.tracking import mlflow_limits
from ovlab.tracking.experiment_page import ablated_params
from ovlab.tracking.mlflow_client import Refused, Unavailable
from ovlab.tracking.mlflow_models import TrackedModel
from ovlab.tracking.mlflow_server import MlflowServer
from ovlab.tracking.points import evaluation_points, points_of, training_points
from ovlab.tracking.provenance import UNKNOWN
from ovlab.tracking.published import Published, num_waiting, read_published, write_published
from ovlab.tracking.tags import (
    ATTEMPT,
    CHILDREN,
    COMMAND,
    COMMIT,
    DATASETS,
    HEARTBEAT,
    KIND,
    PARENT,
    children_in,
    datasets_in,
)

# Another process may find that of two equal runs the other one stays; it does so once.
_ROUNDS = 3
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class PublishReport:
    """What was done. `num_refused` things cannot be told: the log names them. `num_waiting` events are still to come,
    and `problem` says why. `num_running` runs are under way."""

    num_published: int = 0
    num_refused: int = 0
    num_waiting: int = 0
    num_running: int = 0
    problem: str | None = None


def publish(store: Store, server: MlflowServer, *, again: bool = False) -> PublishReport:
    """Tell `server` what it was not told; with `again`, everything from the beginning. Ends runs that are dead.

    What one run meets stops no other. Raises InputError where the store cannot be read at all.
    """
    report = PublishReport()
    publication = _Publication(store, server, report, again=again)
    for run in publication.runs:
        try:
            publication.publish(run)
        except (Unavailable, InputError, StoreError) as error:
            report.problem = str(error)
            # Asked for each run, a server that is away would take its time-out each time.
            if isinstance(error, Unavailable) and not server.answers():
                break
    if report.problem is not None:
        report.num_waiting = num_waiting(store, server.uri)
    return report


class _Publication:
    """Of all runs, parents before their children."""

    def __init__(self, store: Store, server: MlflowServer, report: PublishReport, *, again: bool) -> None:
        self.store, self.server, self.report = store, server, report
        self.runs = journaled_runs(store)
        self.published = {} if again else read_published(store, self.runs, server.uri)
        self.visited: set[str] = set()

    def publish(self, run: str) -> None:
        if run in self.visited:
            return
        self.visited.add(run)
        sizes = journal_sizes(self.store, run)
        published = self.published.get(run, Published())
        if not self._is_there(run, published):
            published = Published()
        if not published.is_behind(sizes):
            return
        log = read_journal(self.store, run)
        if any(why_dead(attempt) is not None for attempt in log.attempts):
            end_silent(self.store, run)
            sizes, log = journal_sizes(self.store, run), read_journal(self.store, run)
        status = status_of(log).status
        self.report.num_running += status == "RUNNING"
        positions = {told.file: told.end for told in log.events}
        if published.fits(log) and published.status == status and published.positions == positions:
            id, experiment = published.id, published.experiment
        elif log.header is None:
            self._left_out(run, "the header", ValueError("none can be read"))
            id = experiment = ""
        else:
            if log.header.parent in self.runs:
                self.publish(log.header.parent)
            id, experiment = self._tell_until_it_stays(log, log.header, published), log.header.experiment
        published = Published(id=id, experiment=experiment, status=status, positions=positions, sizes=sizes)
        write_published(self.store, run, self.server.uri, published)

    def _is_there(self, run: str, published: Published) -> bool:
        """Whether the server still has the run under the name that it was told by. Asked once in a process."""
        if published.id and (run, published.id) not in self.server.known:
            try:
                if self.server.find(published.experiment, run) != published.id:
                    return False
            except Refused:
                pass  # A person deleted it: so it stays.
            self.server.known.add((run, published.id))
        return True

    def _tell_until_it_stays(self, log: RunLog, header: RunHeader, published: Published) -> str:
        """Returns the id of the run; empty for one that a person deleted."""
        num_refused = self.report.num_refused
        for _ in range(_ROUNDS):
            self.report.num_refused = num_refused
            try:
                id = self.server.open(header.experiment, log.run, header.name, round(1000 * log.attempts[0].began))
            except Refused as error:
                self._left_out(log.run, "the run", error)
                return ""
            news = published.news(log) if published.id == id else list(log.events)
            try:
                self._tell(id, log, news)
                is_there = self.server.find(header.experiment, log.run) == id
            except Refused:  # what was deleted meanwhile takes nothing
                is_there = False
            if is_there:
                self.server.known.add((log.run, id))
                self.report.num_published += len(news)
                return id
        raise Unavailable(f"{log.run}: other processes make and delete it there again and again")

    def _tell(self, id: str, log: RunLog, news: Sequence[Told]) -> None:
        new = {(told.file, told.end) for told in news}
        for number, attempt in enumerate(log.attempts, start=1):
            first = next((told for told in attempt.events if isinstance(told.event, Started)), None)
            if first is not None and isinstance(first.event, Started) and (first.file, first.end) in new:
                self._tell_header(id, log.run, first.event.header, number)
        self._try(log.run, "the curve", lambda: self.server.metrics(id, list(points_of(log, news))))
        records = dict.fromkeys(told.event for told in news if isinstance(told.event, Recorded))
        for record in records:
            tell = self._tell_training if record.work == "training" else self._tell_evaluation
            self._try(log.run, f"{record.work} {record.fingerprint[:12]}", partial(tell, id, record.fingerprint))
        self._tell_status(id, log)

    def _tell_header(self, id: str, run: str, header: RunHeader, attempt: int) -> None:
        tags = {key: value for key, value in header.tags.items() if key not in (CHILDREN, DATASETS)}
        tags |= {**_source_tags(tags), **self._parent_tags(header), ATTEMPT: str(attempt)}
        params = {**header.params, **ablated_params(header.params, header.tags)}
        self._try(run, "the page of its experiment", lambda: self.server.describe_experiment(id, header.tags))
        self._try(run, "params and tags", lambda: self.server.describe(id, params, tags))

        def tell_datasets() -> None:
            for dataset in datasets_in(header.tags):
                self.server.dataset(id, dataset)

        self._try(run, "the data sets", tell_datasets)

    def _parent_tags(self, header: RunHeader) -> dict[str, str]:
        if header.parent is None:
            return {}
        try:
            parent = self.server.find(header.experiment, header.parent)
        except Refused:
            parent = None
        return {PARENT: header.parent} | ({} if parent is None else {"mlflow.parentRunId": parent})

    def _tell_training(self, id: str, fingerprint: str) -> None:
        record = self.store.training(fingerprint)
        if record is None:
            raise ValueError("it has no record that can be read")
        self.server.metrics(id, training_points(record))
        weights = weights_uri(self.store, record)
        place = weights if "://" in weights else os.path.realpath(weights)
        model = TrackedModel(weights=place, sha256=record.weights.sha256, class_names=record.class_names)
        self.server.model(id, model)

    def _tell_evaluation(self, id: str, fingerprint: str) -> None:
        """Its scores, the table of its classes, and its pictures."""
        record = self.store.evaluation(fingerprint)
        if record is None:
            raise ValueError("it has no record that can be read")
        training = self.store.training(record.evaluation.subject)
        self.server.metrics(id, evaluation_points(record, 0 if training is None else training.num_steps))
        name = record.evaluation.benchmark
        rows = [asdict(entry) for entry in record.classes]
        columns = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
        self.server.table(id, f"per_class/{mlflow_limits.valid_key(name)}.json", columns)
        sheet = contact_sheet(self.store, fingerprint)
        if sheet is not None:
            with tempfile.TemporaryDirectory() as place:
                path = Path(place, f"{Path(name).name}.jpg")
                sheet.save(path, quality=90)
                self.server.artifact(id, path, "pictures")

    def _tell_status(self, id: str, log: RunLog) -> None:
        status, reason, last_sign, _ = status_of(log)
        self.server.tags(id, {HEARTBEAT: str(round(1000 * last_sign))})
        if status == "RUNNING":
            self.server.running(id)
            return
        if log.header is not None and log.header.tags.get(KIND) == "table":
            tags = log.header.tags
            self._try(log.run, "the runs", lambda: self.server.table(id, "runs.json", _run_table(self.store, tags)))
        self.server.ended(id, status, reason, round(1000 * last_sign))

    def _try(self, run: str, what: str, tell: Callable[[], object]) -> None:
        """What cannot be told must not hold up the rest."""
        try:
            tell()
        except (InputError, StoreError) as error:
            if not isinstance(error, DamagedError):
                raise
            self._left_out(run, what, error)
        # The last ones are of a picture or a number that is damaged.
        except (Refused, ValueError, KeyError, TypeError, OSError, SyntaxError, OverflowError) as error:
            self._left_out(run, what, error)

    def _left_out(self, run: str, what: str, error: Exception) -> None:
        self.report.num_refused += 1
        _LOG.warning("%s: %s is left out: %s", run, what, error)


def _run_table(store: Store, tags: Mapping[str, str]) -> dict[str, list[object]]:
    """Each run of a sweep with its mIoU on each benchmark, where the store has it; shared runs are there too."""
    children = children_in(tags)
    states = [status_of(read_journal(store, child.training)) if child.training else None for child in children]
    table: dict[str, list[object]] = {
        "run": [child.name for child in children],
        "fingerprint": [child.training for child in children],
        "failed": [state.reason or None if state is not None else None for state in states],
    }
    for benchmark in dict.fromkeys(name for child in children for name in child.evaluations):
        fingerprints = [child.evaluations.get(benchmark) for child in children]
        records = [None if print_ is None else store.evaluation(print_) for print_ in fingerprints]
        table[benchmark] = [None if record is None else record.figures["miou"] for record in records]
    return table


def _source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Where a run comes from, by the names under which MLflow's pages show it: its command, shortened, and commit."""
    command, commit = tags.get(COMMAND, UNKNOWN), tags.get(COMMIT, UNKNOWN)
    shown = {"mlflow.source.name": " ".join(command.split()[:2]), "mlflow.source.git.commit": commit}
    known = {name: value for name, value in shown.items() if value != UNKNOWN}
    return {"mlflow.source.type": "LOCAL", **known} if known else {}
