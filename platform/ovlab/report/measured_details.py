"""Columns of details that no row declares, because the records behind its cells say them."""

from collections.abc import Callable, Mapping, Sequence

from ovlab.report.cells import CellRun
from ovlab.store.record import TrainingRecord

NOT_MEASURED = "not measured"


def _learning_rate(runs: Sequence[CellRun]) -> str:
    rates = dict.fromkeys(f"{record.training.spec.schedule.learning_rate:g}" for record in _trainings(runs))
    return ", ".join(rates) or "none"


def _num_learning(runs: Sequence[CellRun]) -> str:
    numbers = dict.fromkeys(record.num_learning for record in _trainings(runs))
    if None in numbers:
        return NOT_MEASURED
    return ", ".join(f"{number:,}" for number in numbers) or "0"


def _images_per_second(runs: Sequence[CellRun]) -> str:
    """In evaluations, by the seconds of work."""
    records = {run.evaluation.fingerprint: run.evaluation for run in runs}.values()
    seconds = sum(record.cost.seconds for record in records)
    num_images = sum(record.figures.get("num_images") or 0 for record in records)
    return f"{num_images / seconds:.3g}" if seconds > 0 else NOT_MEASURED


def _peak_megabytes(runs: Sequence[CellRun]) -> str:
    """In training, of one process."""
    peaks = [record.peak_bytes for record in _trainings(runs) if record.peak_bytes is not None]
    return f"{max(peaks) / 1e6:,.0f}" if peaks else NOT_MEASURED


MEASURED: Mapping[str, Callable[[Sequence[CellRun]], str]] = {
    "learning_rate": _learning_rate,
    "num_learning": _num_learning,
    "images_per_second": _images_per_second,
    "peak_megabytes": _peak_megabytes,
}


def measured_detail(name: str, runs: Sequence[CellRun]) -> str:
    """The entry of a row in the column `name` of MEASURED, from all runs behind its cells."""
    return MEASURED[name](runs) if runs else NOT_MEASURED


def _trainings(runs: Sequence[CellRun]) -> Sequence[TrainingRecord]:
    return list({run.training.fingerprint: run.training for run in runs if run.training is not None}.values())
