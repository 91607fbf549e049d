"""The observer that keeps what it hears in the journal of the store."""

from pathlib import Path

from ovlab.runs.observer import Observer
from ovlab.specs.events import (
    Begun,
    Checkpoint,
    Counts,
    Ended,
    Event,
    Recorded,
    RunHeader,
    Status,
    Step,
    Validated,
    Work,
)
from ovlab.store.journal import Journal, end_silent, open_journal, read_journal, status_of
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.store.store import Store


def is_told(store: Store, run: str) -> bool:
    """Whether the journal of a run says FINISHED; True also for one without a journal, which an older version made."""
    log = read_journal(store, run)
    return not log.attempts or status_of(log).status == "FINISHED"


class JournalObserver(Observer):
    """Opens the journal of a run when work on it begins. `attempt`: that of another process, of which this process does
    a part, without starting or ending it."""

    def __init__(self, store: Store, header: RunHeader, attempt: str | None = None) -> None:
        self.store, self.header, self.joined = store, header, attempt
        self.journal: Journal | None = None
        # Records that were found. They alone are no work, and begin no journal.
        self.found: list[Recorded] = []

    def open(self) -> Journal:
        """The journal, begun unless it was before."""
        if self.journal is None:
            if self.joined is None:
                end_silent(self.store, self.header.run)
            self.journal = open_journal(self.store, self.header, attempt=self.joined)
            for recorded in self.found:
                self.journal.write(recorded)
        return self.journal

    def on_begin(self, begun: Begun) -> None:
        self._keep(begun)

    def on_step(self, step: Step) -> None:
        self._keep(step)

    def on_validation(self, validated: Validated) -> None:
        self._keep(validated)

    def on_checkpoint(self, step: int, path: Path) -> None:
        self._keep(Checkpoint(step=step))
        self.open().flush()

    def on_counts(self, counts: Counts) -> None:
        self._keep(counts)

    def on_record(self, record: TrainingRecord | EvaluationRecord) -> None:
        work: Work = "training" if isinstance(record, TrainingRecord) else "evaluation"
        recorded = Recorded(work=work, fingerprint=record.fingerprint)
        if self.journal is None:
            self.found.append(recorded)
        else:
            self.journal.write(recorded)

    def on_end(self, status: Status, reason: str) -> None:
        if status == "FINISHED" and self.found and not is_told(self.store, self.header.run):
            # Killed between its last record and its end, it would stay KILLED for ever.
            self.open()
        if self.journal is not None:
            if self.joined is None:
                self.journal.write(Ended(status=status, reason=reason))
            self.journal.close()
            self.journal = None

    def _keep(self, event: Event) -> None:
        self.open().write(event)
