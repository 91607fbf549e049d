"""ovlab.sweeps.rates: the rate that scored best on held-out images, and none before all were tried."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ovlab.methods.registry import training_of
from ovlab.report.cells import Records, cells_of
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import evaluation_fingerprint
from ovlab.specs.resolved import training_fingerprint
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Table, Variation
from ovlab.specs.table_file import load_table
from ovlab.store.record import EvaluationRecord, TrainingRecord
from ovlab.sweeps.demand import demands
from ovlab.sweeps.rates import with_chosen_rates

RATES, RIVALS = load_table("rates"), load_table("rivals")


class Tried:
    """Records of some rows of `rates`."""

    def __init__(
        self, make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]
    ) -> None:
        self.make_training, self.make_evaluation = make_training, make_evaluation
        self.trainings: list[TrainingRecord] = []
        self.evaluations: list[EvaluationRecord] = []

    def score(self, key: str, miou: float, *, limit_steps: int | None = None, **changes: object) -> None:
        run = next(row.run for row in RATES.rows if row.key == key)
        spec = training_of(run, SHAPES, 0, limit_steps=limit_steps)
        resolved = replace(self.make_training().training, spec=spec)
        training = self.make_training(training=resolved, fingerprint=training_fingerprint(resolved))
        evaluation = replace(
            self.make_evaluation().evaluation,
            **{
                "subject": training.fingerprint,
                "benchmark": "shapes-coco",
                "split": "train-held-out",
                "protocol": run.protocol(SHAPES, spec.model),
                **changes,
            },
        )
        self.trainings.append(training)
        self.evaluations.append(
            self.make_evaluation(
                evaluation=evaluation,
                fingerprint=evaluation_fingerprint(evaluation),
                figures={"miou": miou, "num_images": 200},
            )
        )

    def chosen(self, **limits: int) -> dict[str, Variation]:
        table: Table = with_chosen_rates(RIVALS, SHAPES, self.trainings, self.evaluations, **limits)
        return {row.key: row.run for row in table.rows if isinstance(row.run, Variation)}


@pytest.fixture
def tried(make_training: Callable[..., TrainingRecord], make_evaluation: Callable[..., EvaluationRecord]) -> Tried:
    return Tried(make_training, make_evaluation)


def test_every_rival_is_tried_at_a_third_once_and_three_times_the_rate_for_half_of_the_updates() -> None:
    tables = (RIVALS, load_table("table1"), load_table("table5"))
    rows = [row for table in tables for row in table.rows]
    rivals = [row.run for row in rows if isinstance(row.run, Variation) and row.run.method is not None]
    rates: dict[tuple[str | None, str], list[float]] = {(run.method, run.backbone): [] for run in rivals}
    for row in RATES.rows:
        spec = training_of(row.run, SHAPES, 0)
        assert (spec.split, spec.schedule.steps) == ("train-fit", 50)
        rates[row.run.method, row.run.backbone].append(spec.schedule.learning_rate)

    assert {run.rate_by for run in rivals} == {"rates"}
    assert set(map(tuple, rates.values())) == {(0.0009, 0.003, 0.009)}


def test_rate_is_that_of_the_best_of_the_same_method_and_backbone(tried: Tried) -> None:
    for key, miou in (("san-vit-b-low", 0.2), ("san-vit-b-middle", 0.1), ("san-vit-b-high", 0.15)):
        tried.score(key, miou)
    for key, miou in (("sed-convnext-b-low", 0.1), ("sed-convnext-b-middle", 0.1), ("sed-convnext-b-high", 0.3)):
        tried.score(key, miou)
    runs = tried.chosen()

    assert training_of(runs["san-vit-b"], SHAPES, 1).schedule == replace(SHAPES.schedule, learning_rate=0.0009)
    assert training_of(runs["sed-convnext-b"], SHAPES, 1).schedule == replace(SHAPES.schedule, learning_rate=0.009)
    assert training_of(runs["sed-convnext-b"], SHAPES, 1).split == "train"
    assert runs["cat-seg-vit-b"].rate_by == "rates"
    assert runs["logoseg-vit-b"] == Variation()


def test_rate_of_which_one_is_not_tried_is_not_chosen_and_what_waits_for_it_says_so(tried: Tried) -> None:
    tried.score("san-vit-b-low", 0.2)
    tried.score("san-vit-b-middle", 0.1)

    assert tried.chosen()["san-vit-b"].rate_by == "rates"
    with pytest.raises(
        InputError, match=r"rivals, row 'san-vit-b': its learning rate .*ovlab run rates --suite shapes"
    ):
        demands([RIVALS], SHAPES)
    cell = cells_of(RIVALS, SHAPES, Records(tried.trainings, tried.evaluations)).cells["san-vit-b", "A-150"]
    assert (cell.origin, cell.missing_seeds) == ("missing", (0, 1, 2))


def test_rate_of_a_rehearsal_is_chosen_by_one_of_the_same_limits(tried: Tried) -> None:
    for key, miou in (("san-vit-b-low", 0.2), ("san-vit-b-middle", 0.1), ("san-vit-b-high", 0.15)):
        tried.score(key, miou, limit_steps=2, num_images=3)

    assert tried.chosen()["san-vit-b"].rate_by == "rates"
    assert tried.chosen(limit_steps=2)["san-vit-b"].rate_by == "rates"
    assert tried.chosen(limit_steps=2, limit_images=3)["san-vit-b"].scaled == {"learning_rate": 0.3}


@pytest.mark.parametrize(
    "change",
    [
        {"split": "val"},
        {"benchmark": "shapes-a-150"},
        {"subject": "c" * 64},
        {"protocol": SHAPES.protocol(own="cat-seg")},
    ],
    ids=str,
)
def test_scores_of_anything_else_choose_nothing(tried: Tried, change: dict[str, object]) -> None:
    tried.score("san-vit-b-low", 0.2)
    tried.score("san-vit-b-middle", 0.2)
    tried.score("san-vit-b-high", 0.2, **change)

    assert tried.chosen()["san-vit-b"].rate_by == "rates"
