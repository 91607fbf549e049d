"""Which evaluations of runs can be compared: those on one benchmark, one each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.metrics.per_image import PerImageCounts, class_tables, matched, per_image_counts
from ovlab.metrics.summary import summary
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import EvaluationSpec, meaning_hash, plain
from ovlab.specs.scores import Kind
from ovlab.specs.wording import first_names
from ovlab.store.count_shards import stored_shards
from ovlab.store.counts import CountColumns, concatenated, counts_digest
from ovlab.store.record import ClassFigures, DamagedError, EvaluationRecord
from ovlab.store.store import Store

_AGAIN = "the command that made it counts them again"
# Digits by which a message names a run.
SHORT = 12


class Cell(NamedTuple):
    """What two evaluations must share to be compared."""

    benchmark: str
    split: str
    num_images: int | None

    def __str__(self) -> str:
        limit = "" if self.num_images is None else f", the first {self.num_images} images"
        return f"{self.benchmark} {self.split}{limit}"


def evaluations_of(records: Sequence[EvaluationRecord], run: str, place: str) -> dict[Cell, EvaluationRecord]:
    """The evaluations of the run whose fingerprint begins with `run`: that of a training, for all its evaluations, or
    of one evaluation. `place` is where the records lie, for the message.

    Raises InputError where there is none, where two runs begin alike, and for two evaluations of one cell.
    """
    found = [record for record in records if run and record.evaluation.subject.startswith(run)]
    found = found or [record for record in records if run and record.fingerprint.startswith(run)]
    subjects = sorted({record.evaluation.subject for record in found})
    if not found:
        known = sorted({record.evaluation.subject[:SHORT] for record in records})
        raise InputError(f"no evaluation of the run {run!r} in {place}; evaluated there: {first_names(known, 5)}.")
    if len(subjects) > 1:
        names = first_names([subject[:SHORT] for subject in subjects], 5)
        raise InputError(f"{run!r} is the beginning of {len(subjects)} runs ({names}); give more digits.")
    cells: dict[Cell, EvaluationRecord] = {}
    # Of two that differ in what is counted beside the pixels alone, the one that has more says all that the other does.
    counted: dict[EvaluationSpec, list[frozenset[Kind]]] = {}
    for record in found:
        counted.setdefault(_plain(record), []).append(record.evaluation.protocol.scoring.kinds)
    for record in found:
        if any(record.evaluation.protocol.scoring.kinds < more for more in counted[_plain(record)]):
            continue
        other = cells.setdefault(cell_of(record), record)
        if other is not record:
            raise InputError(
                f"run {run!r} has two evaluations on {cell_of(record)}, {other.fingerprint[:SHORT]} and "
                f"{record.fingerprint[:SHORT]}, by different protocols or versions; name one of them instead."
            )
    return cells


def _plain(record: EvaluationRecord) -> EvaluationSpec:
    """What it is of, with nothing counted beside the pixels."""
    return replace(record.evaluation, protocol=plain(record.evaluation.protocol))


def cell_of(record: EvaluationRecord) -> Cell:
    spec = record.evaluation
    return Cell(spec.benchmark, spec.split, spec.num_images)


def common_cells(runs: Sequence[tuple[str, Mapping[Cell, EvaluationRecord]]]) -> list[Cell]:
    """The cells that all of the named runs have, in the order of the first. Raises InputError for none, and for two
    ways of scoring in one, naming the runs."""
    (first, cells), *others = runs
    common = list(cells)
    for other, found in others:
        kept = [cell for cell in common if cell in found]
        if not kept:
            one, two = (first_names([str(cell) for cell in cells_of], 5) for cells_of in (common, found))
            raise InputError(f"{first} and {other} share no benchmark: the one has {one}, the other {two}.")
        common = kept
        for cell in common:
            # Boundaries that one of them lacks do not change what the other scores mean.
            one, two = (meaning_hash(side[cell].evaluation.protocol, of_boundary=False) for side in (cells, found))
            if one != two:
                raise InputError(
                    f"{cell}: {first} and {other} are scored by different rules (scoring hash {one[:SHORT]} and "
                    f"{two[:SHORT]}); evaluate one anew."
                )
    return common


def stored_counts(store: Store, record: EvaluationRecord) -> CountColumns:
    """The counts of every image. Raises DamagedError where they are not those that the record was made of."""
    shards = stored_shards(store, record.fingerprint)
    counts = concatenated(list(shards.values()))
    expected = record.figures.get("num_images", len(counts.ids))
    if len(counts.ids) != expected:
        raise DamagedError(
            f"evaluation {record.fingerprint[:SHORT]}: counts of {len(counts.ids)} images are stored, "
            f"not of {expected}; {_AGAIN}."
        )
    if record.count_digests is None and not _follows(record, counts):
        raise DamagedError(
            f"evaluation {record.fingerprint[:SHORT]}: the scores of its record are not those of its counts; {_AGAIN}."
        )
    found = {file: counts_digest(columns) for file, columns in shards.items()}
    for file, digest in (record.count_digests or {}).items():
        if found.get(file) != digest:
            raise DamagedError(
                f"evaluation {record.fingerprint[:SHORT]}: {file} holds other counts than its record; {_AGAIN}."
            )
    return counts


def _follows(record: EvaluationRecord, counts: CountColumns) -> bool:
    """Whether the scores of the record are those of the counts, to the bit."""
    try:
        totals = sum_counts((image.counts for image in counts.images()), record.num_classes)
    except IndexError:  # of more classes
        return False
    found = summary(totals, [one.name for one in record.classes], record.seen_classes)
    classes = tuple(ClassFigures(**one) for one in found.pop("classes"))
    # A score of a person's own may be unknown here.
    return classes == record.classes and all(found.get(name, value) == value for name, value in record.figures.items())


def stored_tables(store: Store, record: EvaluationRecord) -> PerImageCounts:
    """The counts of every image as dense tables. Errors as `stored_counts`."""
    return tables(stored_counts(store, record), record.num_classes)


def comparable_tables(evaluations: Sequence[tuple[str, Store, EvaluationRecord]]) -> list[PerImageCounts]:
    """The tables of the named evaluations of one cell, with their images in the order of the first, of what all have
    counted alike: boundaries of one trim width. Raises InputError, naming two, for other images or labels."""
    scorings = [record.evaluation.protocol.scoring for _, _, record in evaluations]
    common = frozenset.intersection(*(frozenset(scoring.kinds) for scoring in scorings))
    if len({scoring.boundary for scoring in scorings}) > 1:
        common -= {"boundary"}
    found: list[PerImageCounts] = []
    for name, store, record in evaluations:
        counts = stored_tables(store, record)
        counts = replace(counts, beside={kind: told for kind, told in counts.beside.items() if kind in common})
        found.append(matched(found[0], counts, (evaluations[0][0], name)) if found else counts)
    return found


def tables(counts: CountColumns, num_classes: int) -> PerImageCounts:
    """Dense tables. Raises InputError as `per_image_counts`."""
    image = np.arange(len(counts.ids))
    pixels = per_image_counts(
        counts.ids, np.repeat(image, counts.lengths), counts.gt, counts.pred, counts.count, num_classes
    )
    beside = {
        kind: class_tables(np.repeat(image, lengths), found, pixels.num_images, num_classes)
        for kind, (lengths, found) in counts.beside.items()
    }
    return replace(pixels, beside=beside)
