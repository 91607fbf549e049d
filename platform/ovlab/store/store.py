"""The store of results: a folder on this machine or in a bucket, in which a record is written once.

    trainings/<fingerprint>/record.json     written last: where it stands, the training is done
    trainings/<fingerprint>/...             its weights, its checkpoints until then
    evaluations/<fingerprint>/record.json   written last
    evaluations/<fingerprint>/counts/       per-image sparse counts, a Parquet file a shard
    journals/<run>/                         what each attempt at a run told (ovlab.store.journal)
    locks/<run>.lock                        held by the command that makes it, on a store of this machine
    looks/<suite>/<table>.json              what looks at the claims of a table said (ovlab.store.look_record)

Of two writers of one fingerprint the first wins; both go on with what is there. A damaged record counts as missing: it
is named in a warning, and the next writer replaces it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from ovlab.files.storage import Folder
from ovlab.store.record import (
    DamagedError,
    EvaluationRecord,
    Record,
    TrainingRecord,
    pack_record,
    unpack_record,
)

DEFAULT = "ovlab-store"
RECORD = "record.json"

_FOLDERS = {TrainingRecord: "trainings", EvaluationRecord: "evaluations"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Store:
    """Made by `open_store`. It can be pickled: another process opens its own connections."""

    folder: Folder

    def __str__(self) -> str:
        return str(self.folder)

    def training(self, fingerprint: str) -> TrainingRecord | None:
        """The record of a training; None where there is none that can be read."""
        return self._record(TrainingRecord, fingerprint)

    def evaluation(self, fingerprint: str) -> EvaluationRecord | None:
        """The record of an evaluation; None where there is none that can be read."""
        return self._record(EvaluationRecord, fingerprint)

    def put_training(self, record: TrainingRecord) -> TrainingRecord:
        """Write the record unless one is there; returns the one that is there afterwards."""
        return self._put(TrainingRecord, record)

    def put_evaluation(self, record: EvaluationRecord) -> EvaluationRecord:
        """Write the record unless one is there; returns the one that is there afterwards."""
        return self._put(EvaluationRecord, record)

    def trainings(self) -> Iterator[TrainingRecord]:
        """All finished trainings, by fingerprint. Damaged records are named in a warning and left out."""
        return self._records(TrainingRecord)

    def evaluations(self) -> Iterator[EvaluationRecord]:
        """All finished evaluations, by fingerprint. Damaged records are named in a warning and left out."""
        return self._records(EvaluationRecord)

    def records(self) -> Iterator[TrainingRecord | EvaluationRecord]:
        """All trainings, then all evaluations."""
        yield from self.trainings()
        yield from self.evaluations()

    def _record(self, kind: type[Record], fingerprint: str) -> Record | None:
        name = _record_name(kind, fingerprint)
        content = self.folder.read_existing([name]).get(name)
        return None if content is None else self._unpacked(kind, fingerprint, content)

    def _records(self, kind: type[Record]) -> Iterator[Record]:
        fingerprints = {_record_name(kind, name): name for name in self.folder.folders(_FOLDERS[kind])}
        for name, content in sorted(self.folder.read_existing(fingerprints).items()):
            record = self._unpacked(kind, fingerprints[name], content)
            if record is not None:
                yield record

    def _put(self, kind: type[Record], record: Record) -> Record:
        name = _record_name(kind, record.fingerprint)
        content = pack_record(record)
        if not self.folder.create(name, content):
            there = self._record(kind, record.fingerprint)
            if there is not None:
                return there
            self.folder.write(name, content)
        # What is there, not what was given: a store without conditional writes may have let another writer win.
        return self._record(kind, record.fingerprint) or record

    def _unpacked(self, kind: type[Record], fingerprint: str, content: bytes) -> Record | None:
        place = self.folder.locate(_record_name(kind, fingerprint))
        try:
            return unpack_record(kind, content, place=place, fingerprint=fingerprint)
        except DamagedError as error:
            _log.warning("%s It counts as missing.", error)
            return None


def open_store(uri: str = DEFAULT) -> Store:
    """The store at a folder or s3://bucket/prefix, which need not exist yet. Raises InputError for another address."""
    return Store(Folder(uri))


def training_folder(fingerprint: str) -> str:
    """The folder of a training in the store."""
    return f"{_FOLDERS[TrainingRecord]}/{fingerprint}"


def evaluation_folder(fingerprint: str) -> str:
    """The folder of an evaluation in the store."""
    return f"{_FOLDERS[EvaluationRecord]}/{fingerprint}"


def _record_name(kind: type[Record], fingerprint: str) -> str:
    return f"{_FOLDERS[kind]}/{fingerprint}/{RECORD}"
