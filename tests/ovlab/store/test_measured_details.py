from collections.abc import Callable
from dataclasses import replace

from ovlab.report.cells import CellRun
from ovlab.report.measured_details import MEASURED, measured_detail
from ovlab.store.record import EvaluationRecord, TrainingRecord


def details(runs: list[CellRun]) -> list[str]:
    return [measured_detail(name, runs) for name in MEASURED]


def test_details_are_of_all_runs_and_each_evaluation_counts_once(
    make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]
) -> None:
    records = [
        make_training(fingerprint="1" * 64, num_learning=1_380_000, peak_bytes=900_000_000),
        make_training(fingerprint="2" * 64, num_learning=1_380_000, peak_bytes=1_234_000_000),
    ]
    evaluations = [
        make_evaluation(
            fingerprint=str(number) * 64,
            figures={"num_images": num_images},
            cost=replace(make_evaluation().cost, seconds=seconds),
        )
        for number, (num_images, seconds) in enumerate([(100, 30.0), (50, 20.0)])
    ]
    runs = [CellRun(seed, 0.5, records[seed], evaluations[seed]) for seed in (0, 1)]

    assert details([*runs, runs[0]]) == ["0.0002", "1,380,000", "3", "1,234"]


def test_details_of_what_is_not_trained_or_not_measured_say_so(
    make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]
) -> None:
    nothing = replace(make_evaluation().cost, seconds=0.0)
    of_before = CellRun(0, 0.5, make_training(), make_evaluation(cost=nothing))
    alone = CellRun(0, 0.5, None, make_evaluation(cost=nothing))

    assert details([of_before]) == ["0.0002", "not measured", "not measured", "not measured"]
    assert details([alone]) == ["none", "0", "not measured", "not measured"]
    assert details([]) == ["not measured"] * 4
