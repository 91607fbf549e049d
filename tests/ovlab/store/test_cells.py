"""ovlab.report.cells: every cell says where it comes from, and a column does not mix what means different things."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ovlab.methods.registry import training_of
from ovlab.report.cells import Grid, Records, cells_of
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import (
    Oracle,
    Protocol,
    Scoring,
    evaluation_fingerprint,
    scoring_hash,
    with_boundary,
    with_oracles,
)
from ovlab.specs.resolved import training_fingerprint
from ovlab.specs.suite import PAPER
from ovlab.specs.table import SIX_BENCHMARKS, Column, Published, Row, Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.store.record import EvaluationRecord, TrainingRecord

PUBLISHED = Published(source="a paper", values={"A-150": 30.0, "PC-59": None})
TABLE = Table(
    name="mine",
    title="Mine",
    columns=(*SIX_BENCHMARKS[2:4], Column(title="A-150 unseen", benchmark="a-150", score="unseen_miou")),
    rows=(
        Row(key="theirs", label="", published=PUBLISHED),
        Row(key="full", label="", published=PUBLISHED, run=Variation()),
        Row(key="half", label="", run=Variation(model={"prior_weight": 0.5})),
    ),
    seeds=(0, 1),
)

MakeTraining = Callable[..., TrainingRecord]
MakeEvaluation = Callable[..., EvaluationRecord]


class Filled:
    """Records of TABLE: one training a row and seed, evaluated on A-150."""

    def __init__(self, make_training: MakeTraining, make_evaluation: MakeEvaluation) -> None:
        self.make_training, self.make_evaluation = make_training, make_evaluation
        self.trainings: list[TrainingRecord] = []
        self.evaluations: list[EvaluationRecord] = []

    def train(self, key: str, seed: int = 0, **changes: Any) -> TrainingRecord:
        row = next(row for row in TABLE.rows if row.key == key)
        resolved = replace(self.make_training().training, spec=row.run.training(PAPER, seed), **changes)
        record = self.make_training(training=resolved, fingerprint=training_fingerprint(resolved))
        self.trainings.append(record)
        return record

    def evaluate(self, training: TrainingRecord, figures: dict[str, float | None], **changes: Any) -> None:
        finished = changes.pop("finished", "2026-01-02T00:00:00")
        spec = replace(self.make_evaluation().evaluation, subject=training.fingerprint, **changes)
        self.evaluations.append(
            self.make_evaluation(
                evaluation=spec,
                fingerprint=evaluation_fingerprint(spec),
                scoring_hash=scoring_hash(spec.protocol),
                figures={"num_images": 2000, **figures},
                finished=finished,
            )
        )

    def grid(self, **options: Any) -> Grid:
        return cells_of(TABLE, PAPER, Records(self.trainings, self.evaluations), **options)


@pytest.fixture
def filled(make_training: MakeTraining, make_evaluation: MakeEvaluation) -> Filled:
    return Filled(make_training, make_evaluation)


def test_cells_of_an_empty_store_are_quoted_or_missing() -> None:
    grid = cells_of(TABLE, PAPER, Records([], []))

    assert [(cell.origin, cell.value, cell.published) for cell in grid.row("theirs")] == [
        ("quoted", 0.3, 0.3),
        ("quoted", None, None),
        ("quoted", None, None),
    ]
    assert [(cell.origin, cell.value, cell.published) for cell in grid.row("full")] == [
        ("missing", None, 0.3),
        ("missing", None, None),
        ("missing", None, None),
    ]
    assert grid.cells["half", "A-150"].missing_seeds == (0, 1)


def test_cells_of_the_projects_tables_without_a_record_have_no_number_of_ours() -> None:
    for number in range(1, 6):
        grid = cells_of(load_table(f"table{number}"), PAPER, Records([], []))
        measured = {row.key for row in grid.table.rows if row.run is not None}
        assert {cell.value for (key, _), cell in grid.cells.items() if key in measured} == {None}


def test_cell_of_another_split_is_another_cell(filled: Filled) -> None:
    filled.evaluate(filled.train("full", 0), {"miou": 0.25}, split="test")
    column = Column(title="A-150", benchmark="a-150", split="test")

    grid = cells_of(replace(TABLE, columns=(column,)), PAPER, Records(filled.trainings, filled.evaluations))

    assert grid.cells["full", "A-150"].value == 0.25
    assert filled.grid().cells["full", "A-150"].origin == "missing"


def test_cell_of_two_seeds_is_their_mean_and_names_both(filled: Filled) -> None:
    for seed, miou in ((0, 0.25), (1, 0.5)):
        filled.evaluate(filled.train("full", seed), {"miou": miou, "unseen_miou": None})

    cell = filled.grid().cells["full", "A-150"]

    assert (cell.origin, cell.value, cell.published) == ("measured", 0.375, 0.3)
    assert [(run.seed, run.value, run.training.training.spec.seed) for run in cell.runs] == [(0, 0.25, 0), (1, 0.5, 1)]
    assert cell.scoring_hash == filled.evaluations[0].scoring_hash
    assert cell.missing_seeds == ()
    unseen = filled.grid().cells["full", "A-150 unseen"]
    assert (unseen.origin, unseen.value, len(unseen.runs)) == ("measured", None, 2)
    assert filled.grid(seeds=(1, 2)).cells["full", "A-150"].missing_seeds == (2,)


def test_cell_takes_the_later_of_two_records_of_one_run(filled: Filled) -> None:
    training = filled.train("full")
    filled.evaluate(training, {"miou": 0.5}, finished="2026-01-03T00:00:00")
    filled.evaluate(training, {"miou": 0.25}, finished="2026-01-02T00:00:00", vocabulary_digest="e" * 64)

    assert filled.grid().cells["full", "A-150"].value == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"split": "train"},
        {"num_images": 7},
        {"benchmark": "a-847"},
        {"protocol": replace(PAPER.protocol(), class_cap=None)},
    ],
    ids=["split", "limit", "benchmark", "protocol"],
)
def test_cell_is_not_filled_by_another_evaluation(filled: Filled, changes: dict[str, object]) -> None:
    filled.evaluate(filled.train("full"), {"miou": 0.5}, **changes)

    assert filled.grid().cells["full", "A-150"].origin == "missing"


def test_cells_of_a_limited_run_are_those_of_its_limit_only(filled: Filled) -> None:
    filled.evaluate(filled.train("full"), {"miou": 0.5, "num_images": 7}, num_images=7)

    assert filled.grid(limit_images=7).cells["full", "A-150"].value == 0.5
    assert filled.grid(limit_images=8).cells["full", "A-150"].origin == "missing"
    assert filled.grid(limit_images=7, limit_steps=5).cells["full", "A-150"].origin == "missing"


def test_cells_of_two_ways_of_scoring_in_one_column_are_refused_by_name(filled: Filled) -> None:
    plain = PAPER.protocol()
    legacy: Protocol = replace(plain, scoring=Scoring(headline="ground_truth_or_prediction"))
    filled.evaluate(filled.train("full"), {"miou": 0.5}, protocol=plain)
    filled.evaluate(filled.train("half"), {"miou": 0.5}, protocol=legacy)

    with pytest.raises(InputError) as refused:
        filled.grid()

    message = str(refused.value)
    assert "mine, column 'A-150': scored by different rules" in message
    for words in ("'full'", "'half'", scoring_hash(plain)[:12], scoring_hash(legacy)[:12]):
        assert words in message
    assert ": mIoU over ground_truth, evaluator" in message
    assert ": mIoU over ground_truth_or_prediction, evaluator" in message


def test_plain_scores_of_evaluations_with_and_without_boundaries_share_a_column(filled: Filled) -> None:
    filled.evaluate(filled.train("full"), {"miou": 0.5})
    filled.evaluate(filled.train("half"), {"miou": 0.4}, protocol=with_boundary(PAPER.protocol()))

    assert [filled.grid().cells[key, "A-150"].value for key in ("full", "half")] == [0.5, 0.4]


def test_oracle_scores_come_from_evaluations_that_asked_at_least_those_oracles(filled: Filled) -> None:
    columns = (*TABLE.columns, Column(title="told", benchmark="a-150", score="classes_oracle_miou"))
    asked: dict[str, tuple[Oracle, ...]] = {"full": ("classes",), "half": ("classes", "regions")}
    for key, oracles in asked.items():
        protocol = with_oracles(PAPER.protocol(), oracles)
        filled.evaluate(filled.train(key), {"miou": 0.5, "classes_oracle_miou": 0.8}, protocol=protocol)
        filled.evaluate(filled.train(key), {"miou": 0.5}, finished="2026-01-03T00:00:00")

    grid = cells_of(replace(TABLE, columns=columns), PAPER, Records(filled.trainings, filled.evaluations))

    for key in asked:
        assert [grid.cells[key, title].value for title in ("A-150", "told")] == [0.5, 0.8]


def test_boundary_scores_come_from_evaluations_that_count_boundaries_of_one_width(filled: Filled) -> None:
    columns = (*TABLE.columns, Column(title="near", benchmark="a-150", score="boundary_iou"))
    full, half = filled.train("full"), filled.train("half")
    near, other = (with_boundary(PAPER.protocol(), share) for share in (0.02, 0.03))
    filled.evaluate(full, {"miou": 0.5, "boundary_iou": 0.3}, protocol=near)
    filled.evaluate(full, {"miou": 0.5}, finished="2026-01-03T00:00:00")
    filled.evaluate(half, {"miou": 0.4})

    def grid() -> Grid:
        return cells_of(replace(TABLE, columns=columns), PAPER, Records(filled.trainings, filled.evaluations))

    found = [(grid().cells[key, "near"].origin, grid().cells[key, "near"].value) for key in ("full", "half")]
    assert found == [("measured", 0.3), ("missing", None)]
    filled.evaluate(half, {"miou": 0.4, "boundary_iou": 0.2}, protocol=other)
    with pytest.raises(InputError, match=r"column 'near': scored by different rules.*boundary 0\.02.*boundary 0\.03"):
        grid()


def test_column_of_own_protocols_reads_classes_by_each_methods_rule_and_a_common_one_by_one(filled: Filled) -> None:
    theirs = Variation(method="san")
    spec = training_of(theirs, PAPER, 0)
    resolved = replace(filled.make_training().training, spec=spec)
    trained = filled.make_training(training=resolved, fingerprint=training_fingerprint(resolved))
    filled.trainings.append(trained)
    own = theirs.protocol(PAPER, spec.model, "own")
    filled.evaluate(filled.train("full"), {"miou": 0.5})
    filled.evaluate(trained, {"miou": 0.4}, protocol=own, vocabulary_digest="1" * 64)

    def grid(protocol: str) -> Grid:
        table = Table(
            name="mine",
            title="Mine",
            columns=(Column(title="A-150", benchmark="a-150", protocol=protocol),),
            rows=(Row(key="ours", label="", run=Variation()), Row(key="theirs", label="", run=theirs)),
        )
        return cells_of(table, PAPER, Records(filled.trainings, filled.evaluations))

    assert [grid("own").cells[key, "A-150"].value for key in ("ours", "theirs")] == [0.5, 0.4]
    assert [grid("common").cells[key, "A-150"].value for key in ("ours", "theirs")] == [0.5, None]
    common = theirs.protocol(PAPER, spec.model)
    filled.evaluate(trained, {"miou": 0.3}, protocol=common, vocabulary_digest="1" * 64)
    with pytest.raises(InputError, match="asked for other names"):
        grid("common")


@pytest.mark.parametrize(
    ("training", "evaluation", "words"),
    [
        ({"weights_digest": "1" * 64}, {}, "trained from different CLIP weights.*random.*111111111111"),
        ({"data_digest": "1" * 64}, {}, "trained on different versions of the data.*111111111111"),
        ({}, {"data_digest": "1" * 64}, "column 'A-150': scored on different data.*111111111111"),
        ({}, {"vocabulary_digest": "1" * 64}, "column 'A-150': asked for other names.*111111111111"),
    ],
)
def test_cells_of_different_inputs_in_one_table_are_refused_by_name(
    filled: Filled, training: dict[str, str], evaluation: dict[str, str], words: str
) -> None:
    filled.evaluate(filled.train("full"), {"miou": 0.5})
    filled.evaluate(filled.train("half", **training), {"miou": 0.5}, **evaluation)

    with pytest.raises(InputError, match=words):
        filled.grid()


def test_cells_of_two_versions_of_the_program_are_refused_by_name(filled: Filled) -> None:
    full = filled.train("full")
    filled.evaluate(full, {"miou": 0.5})
    filled.evaluate(filled.train("half"), {"miou": 0.5}, prediction_version=3)
    with pytest.raises(InputError, match=r"'A-150': predicted by different versions: .*version 1.*version 3"):
        filled.grid()

    filled.evaluations.pop()
    filled.evaluate(filled.train("half", training_version=3), {"miou": 0.5})
    with pytest.raises(InputError, match=r"mine: trained by different versions: .*version 2.*version 3"):
        filled.grid()
