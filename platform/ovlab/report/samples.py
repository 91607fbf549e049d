"""The image bootstrap of every evaluation that a report shows, from the counts in the store.

The counts of an evaluation are read once, when one of its scores is first asked for, or many together before. All
evaluations on the same images are resampled with the same draws, so that differences between them are paired.
"""

import logging
import os
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float64

from ovlab.metrics.class_totals import Scores
from ovlab.metrics.per_image import PerImageCounts
from ovlab.metrics.resampling import resample
from ovlab.report.cells import Cell, CellRun
from ovlab.store.pairs import SHORT, stored_tables
from ovlab.store.record import DamagedError, EvaluationRecord
from ovlab.store.store import Store

# More than the 2000 of a single interval: verdicts after Holm's correction follow from it.
NUM_RESAMPLES = 4000

_log = logging.getLogger(__name__)


class Samples:
    """The resampled `scores` (names in SCORES) of evaluations in `store`, made once each."""

    def __init__(self, store: Store, scores: Iterable[str] = ("miou",), *, num_resamples: int = NUM_RESAMPLES) -> None:
        self.store = store
        self.scores = frozenset(scores)
        self.num_resamples = num_resamples
        self._made: dict[str, Scores | None] = {}
        self._images: dict[tuple[str, int | None], tuple[str, ...]] = {}

    def prepare(self, records: Iterable[EvaluationRecord]) -> None:
        """Make those of many evaluations at once, in as many threads as there are processors: to read counts is to
        wait, and the loops of the bootstrap run beside one another."""
        distinct = {record.fingerprint: record for record in records}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.of, distinct.values()))

    def of(self, record: EvaluationRecord) -> Scores | None:
        """None, and a warning, where its counts are damaged or missing; None for one image, which has no noise."""
        if record.fingerprint not in self._made:
            self._made[record.fingerprint] = self._sampled(record)
        return self._made[record.fingerprint]

    def of_cell(self, cell: Cell, score: str) -> Float64[np.ndarray, "B"] | None:
        """The mean over the runs of a measured cell, resample by resample; None where one of them has none."""
        known = self._known(cell.runs, score)
        return None if known is None else np.mean(known, axis=0)

    def deviations(self, runs: Sequence[CellRun], score: str) -> Float64[np.ndarray, "S B"] | None:
        """How far each resample moves each of `runs`; None where one of them has none."""
        known = self._known(runs, score)
        return None if known is None else np.stack(known) - [[run.value] for run in runs if run.value is not None]

    def _known(self, runs: Sequence[CellRun], score: str) -> list[Float64[np.ndarray, "B"]] | None:
        scores = [self.of(run.evaluation) for run in runs if run.value is not None]
        known = [found[score] for found in scores if found is not None and score in found]
        return known if known and len(known) == len(scores) else None

    def photographs(self, record: EvaluationRecord) -> Hashable:
        """What evaluations on the same photographs share, whatever their labels."""
        spec = record.evaluation
        return self._images.get((spec.data_digest, spec.num_images), record.fingerprint)

    def _sampled(self, record: EvaluationRecord) -> Scores | None:
        try:
            counts = stored_tables(self.store, record)
            self._require_known_images(record, counts)
        except DamagedError as error:
            _log.warning("%s Its figures are shown without intervals.", error)
            return None
        if counts.num_images < 2:
            return None
        return resample(counts, record.seen_classes, names=self.scores, num_resamples=self.num_resamples).scores

    def _require_known_images(self, record: EvaluationRecord, counts: PerImageCounts) -> None:
        """Of one version of the data, every evaluation has the same images: draws are paired by their order."""
        spec = record.evaluation
        if self._images.setdefault((spec.data_digest, spec.num_images), counts.ids) != counts.ids:
            raise DamagedError(
                f"evaluation {record.fingerprint[:SHORT]}: counts of other images are stored than those of another "
                f"evaluation of the same data ({spec.benchmark}); remove its record and evaluate again."
            )
